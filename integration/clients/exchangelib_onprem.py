"""A stranger at the simulated Exchange Server: Debian's exchangelib. Prints one JSON object.

Argument: what to do. "good" signs in by NTLM and Basic under all names and reads
inboxes, the own one and others; "autodiscover" finds the server; "wrong" has a wrong
password; "fault" opens another's inbox and reports the class of the error.
"""
import json
import os
import sys

from exchangelib import (
    BASIC,
    DELEGATE,
    IMPERSONATION,
    NTLM,
    Account,
    Configuration,
    Credentials,
    FailFast,
)
from exchangelib.errors import EWSError
from exchangelib.protocol import CachingProtocol
from exchangelib.version import EXCHANGE_2016, Version

ENV = os.environ
ADMIN, ALICE = ENV["SIM_ADMIN_UPN"], ENV["SIM_MESSAGING_UPN"]


def password(who):
    with open(ENV[f"SIM_{who}_PASSWORD_FILE"], encoding="utf-8") as f:
        return f.read()


def attempt(mailbox, user=ADMIN, secret=None, auth=NTLM, access=DELEGATE, discover=False, known_version=False):
    """Open the inbox and tell what is in it, or how that failed."""
    try:
        CachingProtocol.clear_cache()  # it would go on as it signed in before
        credentials = Credentials(user, secret or password("ADMIN"))
        config = Configuration(
            service_endpoint=None if discover else ENV["SIM_EWS_URL"],
            credentials=credentials,
            auth_type=auth,
            # Else it asks first, and wraps every fault in an error about the version.
            version=Version(build=EXCHANGE_2016) if known_version else None,
            retry_policy=FailFast(),
        )
        a = Account(mailbox, config=config, access_type=access, autodiscover=discover)
        inbox = a.inbox
        inbox.refresh()
    except EWSError as e:
        return {"class": type(e).__name__, "own": True, "message": str(e)[:1000], "back_off": getattr(e, "back_off", None)}
    return {
        "class": "none",
        "inbox": inbox.name,
        "folder_class": inbox.folder_class,
        "total": inbox.total_count,
        "unread": inbox.unread_count,
        "id": bool(inbox.id and inbox.changekey),
        "build": str(a.version.build),
        "api": a.version.api_version,
        "endpoint": a.protocol.service_endpoint,
    }


task = sys.argv[1]
if task == "good":
    out = {
        "upn": attempt(ADMIN),
        "domain": attempt(ADMIN, user=r"CORP\exadmin"),
        "suffix": attempt(ALICE, user=ALICE, secret=password("MESSAGING")),
        "basic": attempt(ADMIN, auth=BASIC),
        "other": attempt(ALICE, access=IMPERSONATION),
        "nobody": attempt("nobody@contoso.example", access=IMPERSONATION, known_version=True),
    }
elif task == "autodiscover":
    out = {"found": attempt(ADMIN, auth=None, discover=True)}
elif task == "wrong":
    out = {"wrong": attempt(ADMIN, secret="wrong")}
elif task == "fault":
    out = {"other": attempt(ALICE, access=IMPERSONATION, known_version=True)}
else:
    sys.exit(f"unknown task {task}")
print(json.dumps(out))
