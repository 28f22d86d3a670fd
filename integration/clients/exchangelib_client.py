"""A stranger in the simulated tenant: Debian's exchangelib. Prints one JSON object.

Argument: what to do. "good" opens mailboxes, "refused" is told no by Entra ID;
"fault" opens the tenant's mailbox and reports the class of the error; "patient"
does too, and waits when the server says that it is busy; "public" tells what
three users may do with the root of the public folders.
"""
import json
import os
import sys

import oauthlib.oauth2
from exchangelib import (
    IMPERSONATION,
    OAUTH2,
    Account,
    Configuration,
    FaultTolerance,
    Identity,
    OAuth2Credentials,
    Version,
)
from exchangelib.errors import EWSError
from exchangelib.version import EXCHANGE_O365

ENV = os.environ
NOBODY = "11111111-2222-4333-8444-555555555555"


class SimulatedCredentials(OAuth2Credentials):
    """The library's own client credentials, at another address."""

    @property
    def token_url(self):
        return f"{ENV['SIM_LOGIN_URL']}/{self.tenant_id}/oauth2/v2.0/token"


def account(mailbox, tenant=None, client=None, secret=None, known_version=False, patient=False):
    with open(ENV["SIM_CLIENT_SECRET_FILE"], encoding="utf-8") as f:
        right = f.read().strip()
    credentials = SimulatedCredentials(
        client_id=client or ENV["SIM_CLIENT_ID"],
        client_secret=secret or right,
        tenant_id=tenant or ENV["SIM_TENANT_ID"],
        identity=Identity(primary_smtp_address=mailbox),
    )
    config = Configuration(
        service_endpoint=ENV["SIM_OUTLOOK_URL"] + "/EWS/Exchange.asmx",
        credentials=credentials,
        auth_type=OAUTH2,
        # Else it asks first, and wraps every fault in an error about the version.
        version=Version(build=EXCHANGE_O365) if known_version else None,
        retry_policy=FaultTolerance(max_wait=30) if patient else None,
    )
    return Account(primary_smtp_address=mailbox, config=config, access_type=IMPERSONATION)


def attempt(**kwargs):
    """Open the inbox and tell what is in it, or how that failed."""
    try:
        a = account(**kwargs)
        inbox = a.inbox
        inbox.refresh()
    except EWSError as e:
        return {"class": type(e).__name__, "own": True, "message": str(e)[:1000], "back_off": getattr(e, "back_off", None)}
    except oauthlib.oauth2.OAuth2Error as e:
        return {
            "class": type(e).__name__,
            "own": True,
            "error": e.error,
            "message": e.description or "",
            "status": e.status_code,
        }
    return {
        "class": "none",
        "inbox": inbox.name,
        "folder_class": inbox.folder_class,
        "total": inbox.total_count,
        "unread": inbox.unread_count,
        "id": bool(inbox.id and inbox.changekey),
        "build": str(a.version.build),
        "api": a.version.api_version,
    }


def rights(mailbox):
    """What a user may do with the root of the public folders, or how asking failed."""
    try:
        root = account(mailbox=mailbox, known_version=True).public_folders_root
    except EWSError as e:
        return {"class": type(e).__name__, "own": True, "message": str(e)[:1000]}
    held = root.effective_rights
    names = [f.name for f in held.FIELDS if getattr(held, f.name)]
    return {"class": "none", "id": bool(root.id and root.changekey), "rights": " ".join(names)}


box = ENV["SIM_MAILBOX"]
task = sys.argv[1]
if task == "good":
    out = {
        "inbox": attempt(mailbox=box),
        "nobody": attempt(mailbox="nobody@contoso.com", known_version=True),
        "guessed": attempt(mailbox="nobody@contoso.com"),
    }
elif task == "refused":
    out = {
        "secret": attempt(mailbox=box, secret="x" * 40),
        "tenant": attempt(mailbox=box, tenant=NOBODY),
        "application": attempt(mailbox=box, client=NOBODY),
    }
elif task == "fault":
    out = {"inbox": attempt(mailbox=box, known_version=True)}
elif task == "patient":
    out = {"inbox": attempt(mailbox=box, known_version=True, patient=True)}
elif task == "public":
    out = {"owner": rights(box), "publisher": rights("alex.wilber@contoso.com"), "nobody": rights("support@contoso.com")}
else:
    sys.exit(f"unknown task {task}")
print(json.dumps(out))
