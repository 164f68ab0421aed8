"""Single sign-on: people sign in at an OpenID Connect provider, and sessions are kept here.

roles.py      claims -> role
discovery.py  what the provider publishes: its document and keys, fetched rarely
provider.py   the provider: the exchange of a code, the checks of a token
cookie.py     what a browser keeps between leaving for the provider and coming back
sessions.py   sessions in MongoDB, which people and admins can end
single_sign_on.py  provider, sessions and settings as one value
"""
