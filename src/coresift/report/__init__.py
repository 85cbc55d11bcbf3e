"""What a run looks like to people: tables for the terminal, figures, and one self-contained page."""
