"""Common English words, so that ordinary text costs the world's tokenizer few tokens."""

_TEXT = """
    the of and to in a is that it for was on are as with his they at be this from have or by one had not but what
    all were when we there can an your which their said if do will each about how up out them then she many some so
    these would other into has more her two like him see time could no make than first been its who now people my
    made over did down only way find use may water long little very after words called just where most know get
    through back much before go good new write our used me man too any day same right look think also around another
    came come work three word must because does part even place well such here take why things help put years
    different away again off went old number great tell men say small every found still between name should home big
    give air line set own under read last never us left end along while might next sound below saw something thought
    both few those always looked show large often together asked house world going want school important until form
    food keep children feet land side without boy once animals life enough took sometimes four head above kind began
    almost live page got earth need far hand high year mother light parts country father let night following picture
    being study second eyes soon times story boys since white days ever paper hard near sentence better best across
    during today others however sure means knew try told young miles sun ways thing whole hear example heard several
    change answer room sea against top turned learn point city play toward five using himself usually money seen car
    morning given create describe explain provide information system data computer health human energy environment
    process experience government business research technology language question problem possible able include
    including increase develop development social public state company program service group community support level
    quality control power nature natural product market design model result results reason effect effects cause cost
    value create creating list sentence generate following identify rewrite summary summarize article steps step
    method methods analysis text customer customers online software user users access network security personal
    individual positive negative potential ensure improve reduce impact challenge challenges benefits benefit future
    global economic political culture history various common simple complex specific general main major key role
    type types area areas feel feeling love friends friend family job body mind skills skill plan time team goal
    goals strong clear easy free full open early late local national international financial physical mental medical
    material rate price amount percent million thousand hundred ten six seven eight nine zero half third total table
    green red blue black brown yellow color music book books movie film art game games sports travel trip student
    students teacher class education training practice exercise diet sleep weight heart blood skin plant plants tree
    trees fish bird birds dog cat animal science space theory machine learning language artificial intelligence
    algorithm function variable code string
"""
COMMON: tuple[str, ...] = tuple(_TEXT.split())
"""Roughly by frequency; no claim to be complete."""
