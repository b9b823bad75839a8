"""What people take for a long password. Kept small: it is a floor, not a dictionary.

A password is compared without case and without what is not a letter, so that `Password-2024!!`
and `password` are one; a word may also be repeated. Keyboard rows count as words.
"""

from __future__ import annotations

_WORDS = """
    abcdefghijkl abcdefghijklm abcdefghijklmnop abcdefghijklmnopqrstuvwxyz abcabcabc
    access administrator adminadmin admin administration asdfghjkl asdfghjklzxcvbnm asdfasdf
    basketball baseball batman butterfly casemate changeit changeme changemeplease chocolate
    computer correcthorsebatterystaple default defaultpassword dragon football foobar foobarbaz
    freedom friends guest hello helloworld hunter iamadmin iloveyou iloveyousomuch internet
    justatest letmein letmeinnow letmeinplease liverpool login loginlogin lovely loveme manchester
    master masterkey masterpassword michael monkey motdepasse mustang mypassword
    mysecretpassword mysecurepassword newpassword nopassword nothing office ohmygod
    openopenopen opensesame passcode passpass passphrase passw passwd passwort passwordpassword
    password passwordone passwordisapassword pokemon princess qazwsx qazwsxedc qazwsxedcrfv
    qwerty qwertyqwerty qwertyui qwertyuiop qwertyuiopas qwertyuiopasdfghjkl
    qwertyuiopasdfghjklzxcvbnm qwertz qwertzuiop azerty azertyuiop root rootroot secret
    secretpassword secretsecret secure securepassword server serverless shadow starwars
    strongpassword summer winter spring autumn sunshine superman supersecret superuser
    supersecretpassword sysadmin temp temporary temppassword test testing testpassword testtest
    thisisapassword thisismypassword trustno trustnoone ultrasecret unknown user username
    verysecret verysecurepassword welcome welcomeback welcomehome whatever whoami yourpassword
    zxcvbn zxcvbnm zaqxswcde
"""

COMMON_WORDS = frozenset(_WORDS.split())

LEET = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s"}
)
"""Replacements that everybody who guesses passwords tries."""
