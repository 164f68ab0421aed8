"""Single sign-on: people sign in at an OpenID Connect provider, and sessions are kept here.

roles.py      claims -> role
provider.py   the provider: discovery, keys, the exchange of a code, the checks of a token
cookie.py     what a browser keeps between leaving for the provider and coming back
sessions.py   sessions in MongoDB, which people and admins can end
"""
