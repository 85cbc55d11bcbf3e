"""What work leaves behind, kept by what it depends on and shared by every run that depends on the same.

    store       artefacts by kind and identity: made once, whole or absent, verified when read
    locks       one maker at a time, on one machine or several; what a killed process held is free again
    upkeep      what a store holds, who uses it, whether it is intact, and what can go

Open `store` first.
"""
