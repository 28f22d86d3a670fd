"""A stranger at the simulated SharePoint farm: Debian's zeep, which reads the WSDL of
SiteData and makes its calls from that. Prints one JSON object: the site collections as
SOAP 1.1 and 1.2 tell them, and how refusals are told.
"""
import json
import os

from lxml import etree
from requests import Session
from requests.exceptions import HTTPError
from requests_ntlm import HttpNtlmAuth
from zeep import Client
from zeep.exceptions import Error
from zeep.transports import Transport

ENV = os.environ
SITE, CENTRAL = ENV["SIM_SHAREPOINT_URL"], ENV["SIM_CENTRAL_ADMIN_URL"]


def password(who):
    with open(ENV[f"SIM_{who}_PASSWORD_FILE"], encoding="utf-8") as f:
        return f.read()


def client(user, secret, url=SITE):
    session = Session()
    session.auth = HttpNtlmAuth(user, secret)
    return Client(url + "/_vti_bin/SiteData.asmx?WSDL", transport=Transport(session=session))


def content(service, kind, number=""):
    """What GetContent tells of an object: XML within text."""
    answer = service.GetContent(objectType=kind, objectId=number, retrieveChildItems=True, securityOnly=False)
    return etree.fromstring(answer.GetContentResult)


def collections(service):
    """All site collections of the web application, by its content databases."""
    whole = content(service, "VirtualServer")
    databases = [d.get("ID") for d in whole.iterfind("ContentDatabases/ContentDatabase")]
    urls = [s.get("URL") for d in databases for s in content(service, "ContentDatabase", d).iterfind("Sites/Site")]
    return {"class": "none", "version": whole.find("Metadata").get("Version"), "databases": len(databases), "urls": urls}


def attempt(task):
    try:
        return task()
    except (Error, HTTPError) as e:
        own = isinstance(e, Error)
        status = getattr(e, "status_code", None) or getattr(getattr(e, "response", None), "status_code", None)
        detail = getattr(e, "detail", None)
        text = "" if detail is None else " ".join(detail.itertext())
        return {"class": type(e).__name__, "own": own, "status": status, "message": f"{e} {text}".strip()}


def main():
    upn, reader = ENV["SIM_SHAREPOINT_UPN"], ENV["SIM_READER_UPN"]
    admin = client(upn, password("SHAREPOINT"))
    address = admin.service.GetSiteUrl(Url=SITE)
    return {
        "soap11": attempt(lambda: collections(admin.bind("SiteData", "SiteDataSoap"))),
        "soap12": attempt(lambda: collections(admin.bind("SiteData", "SiteDataSoap12"))),
        "domain": attempt(lambda: collections(client("CORP\\spadmin", password("SHAREPOINT")).service)),
        "central": attempt(lambda: collections(client(upn, password("SHAREPOINT"), CENTRAL).service)),
        "site": {"class": "none", "urls": [address.siteUrl]},
        "reader": attempt(lambda: collections(client(reader, password("READER")).service)),
        "wrong": attempt(lambda: collections(client(upn, "wrong").service)),
        "nothing": attempt(lambda: content(admin.service, "ContentDatabase", "{00000000-0000-0000-0000-000000000001}")),
    }


print(json.dumps(main()))
