package psrp

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// defaultResults is how many objects the recipient cmdlets give unless told otherwise.
const defaultResults = 1000

// exchangeCmdlets are the cmdlets of Exchange, as far as a program needs them
// that connects to an organisation. Source of parameters and roles: Exchange
// PowerShell reference.
func exchangeCmdlets(s *Server) []Cmdlet {
	recipients := []string{"Mail Recipients", "Mail Recipient Creation", "Public Folders", "View-Only Recipients"}
	const namespace = "Microsoft.Exchange.Management.RecipientTasks"
	types := Parameter{Name: "RecipientTypeDetails", Type: Strings, Values: recipientTypes(), Enum: "Microsoft.Exchange.Data.Directory.Recipient.RecipientTypeDetails"}
	identity := Parameter{Name: "Identity", Position: 1, Set: "Identity"}
	anr := Parameter{Name: "Anr", Set: "AnrSet"}
	size := Parameter{Name: "ResultSize", Type: Unlimited}
	list := []Cmdlet{
		{
			Name: "Get-Mailbox", Namespace: namespace, Roles: recipients, Run: getMailbox,
			Parameters: []Parameter{identity, anr, size, types, {Name: "PublicFolder", Type: Switch}, {Name: "Server", Set: "ServerSet"}, {Name: "DomainController"}},
		},
		{
			Name: "Get-User", Namespace: namespace, Roles: recipients, Run: getUser,
			Parameters: []Parameter{identity, anr, size, {Name: "DomainController"}},
		},
		{
			Name: "Get-Recipient", Namespace: namespace, Roles: recipients, Run: getRecipient,
			Parameters: []Parameter{identity, anr, size, types, {Name: "DomainController"}},
		},
		{
			Name: "Get-CASMailbox", Namespace: namespace, Roles: recipients, Run: getCASMailbox,
			Parameters: []Parameter{identity, anr, size, {Name: "DomainController"}},
		},
	}
	return append(append(list, roleCmdlets()...), serverCmdlets(s)...)
}

// recipientTypes are the values of RecipientTypeDetails that exist here.
func recipientTypes() []string {
	return []string{
		"UserMailbox", "LinkedMailbox", "SharedMailbox", "RoomMailbox", "EquipmentMailbox", "MailUser", "User", "DiscoveryMailbox", "PublicFolderMailbox",
	}
}

// typeDetails is RecipientTypeDetails of a user. Source of the numbers:
// msExchRecipientTypeDetails (learn.microsoft.com, "RecipientTypeDetails values").
func typeDetails(u org.User) Enum {
	name, value := "User", int64(65536)
	if u.Address != "" {
		name = string(u.Type)
		value = map[org.MailboxType]int64{
			org.UserMailbox: 1, org.LinkedMailbox: 2, org.SharedMailbox: 4, org.RoomMailbox: 16, org.EquipmentMailbox: 32,
			org.DiscoveryMailbox: 536870912, org.PublicFolderMailbox: 68719476736,
		}[u.Type]
	}
	return Enum{Type: "Microsoft.Exchange.Data.Directory.Recipient.RecipientTypeDetails", Name: name, Value: value, Wide: true}
}

func recipientType(u org.User) Enum {
	const kind = "Microsoft.Exchange.Data.Directory.Recipient.RecipientType"
	if u.Address == "" {
		return Enum{Type: kind, Name: "User", Value: 1}
	}
	return Enum{Type: kind, Name: "UserMailbox", Value: 2}
}

// matchesAnr is ambiguous name resolution: the names and addresses that begin with the text.
func matchesAnr(u org.User, text string) bool {
	local, _, _ := strings.Cut(u.Address, "@")
	return slices.ContainsFunc([]string{u.Name, u.DisplayName, u.SAM, local, u.Address}, func(n string) bool {
		return len(n) >= len(text) && strings.EqualFold(n[:len(text)], text)
	})
}

// like matches a name with a pattern in which * stands for anything.
func like(pattern, name string) bool {
	parts := strings.Split(strings.ToLower(pattern), "*")
	name = strings.ToLower(name)
	if len(parts) == 1 {
		return parts[0] == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, p)
		if i < 0 {
			return false
		}
		rest = rest[i+len(p):]
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// choose gives the users that Identity, Anr and keep leave, cut to ResultSize.
func choose(call *Invocation, keep func(org.User) bool, object func(org.User) *Object) (Result, *Error) {
	var r Result
	identity := call.Text("Identity")
	if identity != "" && !strings.Contains(identity, "*") {
		u, ok := call.Organisation().Find(identity)
		if !ok || !keep(u) {
			return r, call.notFound(identity)
		}
		r.Objects = append(r.Objects, object(u))
		return r, nil
	}
	limit := call.Number("ResultSize", defaultResults)
	for _, u := range call.Organisation().Users() {
		if !keep(u) || call.Has("Anr") && !matchesAnr(u, call.Text("Anr")) || identity != "" && !like(identity, u.Name) && !like(identity, u.Address) {
			continue
		}
		if len(r.Objects) == limit && limit != math.MaxInt {
			r.Warnings = append(r.Warnings, moreResults(call))
			break
		}
		r.Objects = append(r.Objects, object(u))
	}
	return r, nil
}

// moreResults is the warning that not everything was given.
func moreResults(call *Invocation) string {
	if call.Has("ResultSize") {
		return "There are more results available than are currently displayed. To view them, increase the value for the ResultSize parameter."
	}
	return `By default, only the first 1000 items are returned. Use the ResultSize parameter to specify the number of items returned. ` +
		`To return all items, specify "-ResultSize Unlimited". Be aware that, depending on the actual number of items, returning all items can take a long time ` +
		`and consume a large amount of memory. Also, we don't recommend storing the results in a variable. Instead, pipe the results to another task or script to perform batch changes.`
}

func wantedType(call *Invocation, u org.User) bool {
	return !call.Has("RecipientTypeDetails") || slices.Contains(call.Texts("RecipientTypeDetails"), typeDetails(u).Name)
}

func getMailbox(call *Invocation) (Result, *Error) {
	public := call.Bool("PublicFolder", false)
	server := call.Text("Server")
	return choose(call, func(u org.User) bool {
		return u.Address != "" && (u.Type == org.PublicFolderMailbox) == public && wantedType(call, u) && (server == "" || sameServer(call, server, u.Server))
	}, func(u org.User) *Object { return mailboxObject(call, u) })
}

func sameServer(call *Invocation, identity, name string) bool {
	for _, s := range call.Organisation().Servers() {
		if strings.EqualFold(s.Name, identity) || strings.EqualFold(s.FQDN, identity) {
			return strings.EqualFold(s.Name, name)
		}
	}
	return false
}

// directoryObject begins an object of Active Directory.
func directoryObject(call *Invocation, types []string, text string, props ...Property) *Object {
	return &Object{Types: append(types, "System.Object"), Text: text, Props: append(props, []Property{
		{"IsValid", true}, {"OrganizationId", ""}, {"OriginatingServer", call.Organisation().DomainController()},
		{"ObjectState", Enum{Type: "Microsoft.Exchange.Data.ObjectState", Name: "Unchanged", Value: 1}},
	}...)}
}

// names are the properties that every recipient has.
func names(call *Invocation, u org.User) []Property {
	o := call.Organisation()
	return []Property{
		{"Identity", o.Canonical(u)}, {"Id", o.Canonical(u)}, {"Name", u.Name}, {"DisplayName", u.DisplayName}, {"SamAccountName", u.SAM}, {"UserPrincipalName", u.UPN},
		{"DistinguishedName", o.DistinguishedName(u)}, {"Guid", u.ID}, {"RecipientType", recipientType(u)}, {"RecipientTypeDetails", typeDetails(u)},
		{"WhenCreated", time.Date(2024, 3, 11, 9, 30, 0, 0, time.UTC)},
	}
}

// addresses is the collection of proxy addresses.
func addresses(u org.User) *Object {
	list := List{}
	if u.Address != "" {
		list = append(list, "SMTP:"+u.Address)
	}
	for _, a := range u.Aliases {
		list = append(list, "smtp:"+a)
	}
	return &Object{
		Types: []string{
			"Microsoft.Exchange.Data.ProxyAddressCollection", "Microsoft.Exchange.Data.ProxyAddressBaseCollection`1[[Microsoft.Exchange.Data.ProxyAddress, Microsoft.Exchange.Data, Version=15.0.0.0, Culture=neutral, PublicKeyToken=31bf3856ad364e35]]",
			"System.Object",
		},
		Base: list,
	}
}

func mailboxObject(call *Invocation, u org.User) *Object {
	alias, _, _ := strings.Cut(u.Address, "@")
	const quota = "Unlimited"
	props := append(names(call, u), []Property{
		{"Alias", alias}, {"PrimarySmtpAddress", u.Address}, {"WindowsEmailAddress", u.Address}, {"EmailAddresses", addresses(u)}, {"ExchangeGuid", u.MailboxID},
		{"Database", u.Database}, {"ServerName", strings.ToLower(u.Server)}, {"HiddenFromAddressListsEnabled", u.Hidden}, {"IsMailboxEnabled", true},
		{"IsResource", u.Type == org.RoomMailbox || u.Type == org.EquipmentMailbox}, {"IsShared", u.Type == org.SharedMailbox}, {"IsLinked", u.Type == org.LinkedMailbox},
		{"IsRootPublicFolderMailbox", false}, {"ProhibitSendQuota", quota}, {"UseDatabaseQuotaDefaults", true}, {"ArchiveGuid", org.GUID{}}, {"ForwardingAddress", nil},
	}...)
	return directoryObject(call, []string{
		"Microsoft.Exchange.Data.Directory.Management.Mailbox", "Microsoft.Exchange.Data.Directory.Management.MailEnabledOrgPerson",
		"Microsoft.Exchange.Data.Directory.Management.MailEnabledRecipient", "Microsoft.Exchange.Data.Directory.ADPresentationObject",
		"Microsoft.Exchange.Data.Directory.ADObject", "Microsoft.Exchange.Data.Directory.ADRawEntry", "Microsoft.Exchange.Data.ConfigurableObject",
	}, call.Organisation().Canonical(u), props...)
}

func getUser(call *Invocation) (Result, *Error) {
	return choose(call, func(u org.User) bool { return u.Type != org.PublicFolderMailbox }, func(u org.User) *Object {
		return directoryObject(call, []string{"Microsoft.Exchange.Data.Directory.Management.User", "Microsoft.Exchange.Data.Directory.Management.OrgPersonPresentationObject"},
			call.Organisation().Canonical(u), append(names(call, u), []Property{
				{"RemotePowerShellEnabled", !u.NoRemotePowerShell}, {"WindowsEmailAddress", u.Address}, {"Sid", ""}, {"UserAccountControl", "NormalAccount"},
			}...)...)
	})
}

func getRecipient(call *Invocation) (Result, *Error) {
	return choose(call, func(u org.User) bool {
		return u.Address != "" && u.Type != org.PublicFolderMailbox && wantedType(call, u)
	}, func(u org.User) *Object {
		return directoryObject(call, []string{"Microsoft.Exchange.Data.Directory.Management.ReducedRecipient"}, call.Organisation().Canonical(u),
			append(names(call, u), []Property{{"PrimarySmtpAddress", u.Address}, {"EmailAddresses", addresses(u)}, {"HiddenFromAddressListsEnabled", u.Hidden}}...)...)
	})
}

func getCASMailbox(call *Invocation) (Result, *Error) {
	return choose(call, func(u org.User) bool { return u.Address != "" && u.Type != org.PublicFolderMailbox }, func(u org.User) *Object {
		return directoryObject(call, []string{"Microsoft.Exchange.Data.Directory.Management.CASMailbox"}, call.Organisation().Canonical(u),
			append(names(call, u), []Property{
				{"PrimarySmtpAddress", u.Address}, {"EwsEnabled", nil}, {"EwsApplicationAccessPolicy", nil}, {"EwsAllowList", nil}, {"EwsBlockList", nil},
				{"MAPIEnabled", true}, {"OWAEnabled", true}, {"ActiveSyncEnabled", true}, {"ServerName", strings.ToLower(u.Server)},
			}...)...)
	})
}
