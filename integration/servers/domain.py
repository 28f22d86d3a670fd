"""Fills a Samba domain that was just provisioned and does not run yet.

Arguments: its smb.conf, the keytab to write. Standard input: a JSON object with
users, groups, hosts, suffix, services (SPNs in the keytab) and exchange (host).
"""
import json
import sys

from samba import dckeytab  # noqa: F401 (gives Net its export_keytab)
from samba.auth import system_session
from samba.net import Net
from samba.param import LoadParm
from samba.provision.sambadns import add_host_record, add_srv_record
from samba.samdb import SamDB

conf, keytab = sys.argv[1:3]
want = json.load(sys.stdin)
lp = LoadParm()
lp.load(conf)
db = SamDB(session_info=system_session(), lp=lp)
base = str(db.domain_dn())
config = str(db.get_config_basedn())


def change(dn, **values):
    """Sets attributes of an object."""
    lines = [f"dn: {dn}", "changetype: modify"]
    for name, value in values.items():
        lines += [f"replace: {name.replace('_', '-')}", f"{name.replace('_', '-')}: {value}", "-"]
    db.modify_ldif("\n".join(lines) + "\n")


# Samba counts wrong passwords only where they can lock an account.
change(base, lockoutThreshold=10)
change(f"CN=Partitions,{config}", uPNSuffixes=want["suffix"])

for user in want["users"]:
    db.newuser(user["sam"], user["password"], mailaddress=user.get("mail"))
    dn = f"CN={user['sam']},CN=Users,{base}"
    if user.get("upn"):
        change(dn, userPrincipalName=user["upn"])
    if user.get("disabled"):
        change(dn, userAccountControl=514)
    if user.get("spn"):
        # AES keys alone; without this attribute tickets are RC4.
        change(dn, servicePrincipalName=user["spn"], msDS_SupportedEncryptionTypes=24)

db.add({"dn": f"OU=Microsoft Exchange Security Groups,{base}", "objectClass": "organizationalUnit"})
for group in want["groups"]:
    ou = "OU=Microsoft Exchange Security Groups" if group.get("exchange") else None
    universal = 0x80000008 - (1 << 32)  # a security group
    db.newgroup(group["name"], groupou=ou, grouptype=universal if group.get("exchange") else None)
    db.add_remove_group_members(group["name"], group["members"])

# Without Samba's service for it, nobody registers the controller's names.
db.modify_ldif(f"dn: CN=DC1,OU=Domain Controllers,{base}\nchangetype: modify\nadd: servicePrincipalName\nservicePrincipalName: ldap/dc1.corp.test\n")

# The service connection point of Autodiscover. Samba has not Exchange's schema:
# what is above it are plain containers.
dn = f"CN=Services,{config}"
for name in (
    "Microsoft Exchange",
    "CORPORG",
    "Administrative Groups",
    "Exchange Administrative Group (FYDIBOHF23SPDLT)",
    "Servers",
    "EXCH01",
    "Protocols",
    "Autodiscover",
):
    dn = f"CN={name},{dn}"
    db.add({"dn": dn, "objectClass": "container"})
db.add(
    {
        "dn": f"CN=EXCH01,{dn}",
        "objectClass": "serviceConnectionPoint",
        "serviceClassName": "ms-Exchange-AutoDiscover-Service",
        "serviceDNSName": "EXCH01",
        "serviceBindingInformation": want["autodiscover"],
        "keywords": ["77378F46-2C66-4aa9-A6A6-3E7A48B19596", "Site=Default-First-Site-Name"],
    }
)

zone = f"DC=corp.test,CN=MicrosoftDNS,DC=DomainDnsZones,{base}"
for name, address in want["hosts"].items():
    add_host_record(db, zone, f"DC={name}", address, None)
add_srv_record(db, zone, "DC=_autodiscover._tcp", want["exchange"], 443)

for service in want["services"]:
    Net(None, lp).export_keytab(keytab=keytab, principal=service)
