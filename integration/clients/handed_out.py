"""A stranger under `c2conn exec`: Debian's exchangelib with a token that it was handed.

It knows nothing but its environment: EXCHANGE_TOKEN, which exec's --token sets, and
C2CONN_CONNECTION_... Opens the inbox of the connection's mailbox; prints one JSON object.
"""
import json
import os

from exchangelib import IMPERSONATION, OAUTH2, Account, Configuration, Identity, OAuth2AuthorizationCodeCredentials, Version
from exchangelib.version import EXCHANGE_O365
from oauthlib.oauth2 import OAuth2Token

ENV = os.environ
mailbox = ENV["C2CONN_CONNECTION_ACCOUNT"]
credentials = OAuth2AuthorizationCodeCredentials(
    access_token=OAuth2Token({"access_token": ENV["EXCHANGE_TOKEN"], "token_type": "Bearer"}),
    identity=Identity(primary_smtp_address=mailbox),
)
config = Configuration(
    service_endpoint=ENV["C2CONN_CONNECTION_EWS_URL"],
    credentials=credentials,
    auth_type=OAUTH2,
    version=Version(build=EXCHANGE_O365),
)
inbox = Account(primary_smtp_address=mailbox, config=config, access_type=IMPERSONATION).inbox
inbox.refresh()
print(json.dumps({"inbox": inbox.name, "total": inbox.total_count, "id": bool(inbox.id and inbox.changekey)}))
