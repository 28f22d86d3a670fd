package sim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim"
)

func TestEWSAnswers(t *testing.T) {
	t.Parallel()
	w := start(t)
	raw := token(t, w, sim.AppBackup, w.OutlookURL())
	admin := func(ids string) string { return soapBody("SmtpAddress", sim.Mailbox, ids) }
	found := ewsFolder(t, w, raw)
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
		has    string
	}{
		"inbox":                    {admin(inbox), 200, "NoError", "<t:DisplayName>Inbox</t:DisplayName>"},
		"calendar":                 {admin(`<t:DistinguishedFolderId Id="calendar"/>`), 200, "NoError", "<t:CalendarFolder>"},
		"root of messages":         {admin(`<t:DistinguishedFolderId Id="msgfolderroot"/>`), 200, "NoError", "Top of Information Store"},
		"archive":                  {admin(`<t:DistinguishedFolderId Id="archiveinbox"/>`), 200, "NoError", "Inbox"},
		"no archive":               {soapBody("SmtpAddress", "alex.wilber@contoso.com", `<t:DistinguishedFolderId Id="archiveinbox"/>`), 200, "ErrorFolderNotFound", ""},
		"not there":                {admin(`<t:DistinguishedFolderId Id="conflicts"/>`), 200, "ErrorFolderNotFound", "The specified folder could not be found in the store."},
		"public folders":           {admin(`<t:DistinguishedFolderId Id="publicfoldersroot"/>`), 200, "NoError", "<t:DisplayName>IPM_SUBTREE</t:DisplayName>"},
		"no such name":             {admin(`<t:DistinguishedFolderId Id="nonsense"/>`), 500, "ErrorSchemaValidation", ""},
		"own mailbox named":        {admin(`<t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>` + sim.Mailbox + `</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>`), 200, "NoError", ""},
		"other mailbox":            {admin(`<t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>support@contoso.com</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>`), 200, "ErrorAccessDenied", ""},
		"by id":                    {admin(`<t:FolderId Id="` + found + `"/>`), 200, "NoError", "Inbox"},
		"id of another mailbox":    {soapBody("SmtpAddress", "support@contoso.com", `<t:FolderId Id="`+found+`"/>`), 200, "ErrorFolderNotFound", ""},
		"id malformed":             {admin(`<t:FolderId Id="AAAA"/>`), 200, "ErrorInvalidIdMalformed", "Id is malformed."},
		"by alias":                 {soapBody("SmtpAddress", "Administrator@contoso.com", inbox), 200, "NoError", ""},
		"alias as primary":         {soapBody("PrimarySmtpAddress", "administrator@contoso.com", inbox), 500, "ErrorNonPrimarySmtpAddress", sim.Mailbox},
		"primary":                  {soapBody("PrimarySmtpAddress", sim.Mailbox, inbox), 200, "NoError", ""},
		"principal name":           {soapBody("PrincipalName", "alex.w@contoso.com", inbox), 200, "NoError", ""},
		"unknown principal name":   {soapBody("PrincipalName", "alex.wilber@contoso.com", inbox), 500, "ErrorInvalidUserPrincipalName", ""},
		"SID":                      {soapBody("SID", "S-1-5-21-1004336348-1177238915-682003330-1101", inbox), 200, "NoError", ""},
		"unknown SID":              {soapBody("SID", "S-1-5-21-1-1-1-1", inbox), 500, "ErrorInvalidUserSid", ""},
		"no such address":          {soapBody("SmtpAddress", "nobody@contoso.com", inbox), 500, "ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it."},
		"no licence":               {soapBody("SmtpAddress", "unlicensed@contoso.com", inbox), 500, "ErrorNonExistentMailbox", ""},
		"on premises":              {soapBody("SmtpAddress", "on-premises@contoso.com", inbox), 500, "ErrorNonExistentMailbox", ""},
		"no impersonation":         {soapBody("", "", inbox), 500, "ErrorInvalidExchangeImpersonationHeaderData", "ExchangeImpersonation SOAP header must be present for this type of OAuth token."},
		"no address":               {soapBody("SmtpAddress", "", inbox), 500, "ErrorSchemaValidation", ""},
		"unknown kind of address":  {soapBody("Nickname", "admin", inbox), 500, "ErrorSchemaValidation", ""},
		"server version":           {strings.Replace(admin(inbox), "Exchange2013_SP1", "Exchange2042", 1), 500, "ErrorInvalidServerVersion", ""},
		"unknown shape":            {strings.Replace(admin(inbox), "Default", "Everything", 1), 500, "ErrorSchemaValidation", ""},
		"unknown operation":        {envelope(impersonating, "<m:Nonsense/>"), 500, "ErrorSchemaValidation", "is not expected here"},
		"https namespace":          {strings.ReplaceAll(admin(inbox), "http://schemas.microsoft.com", "https://schemas.microsoft.com"), 500, "ErrorSchemaValidation", ""},
		"SOAP 1.2":                 {strings.ReplaceAll(admin(inbox), "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"), 500, "ErrorSchemaValidation", ""},
		"another document":         {"<html/>", 500, "ErrorSchemaValidation", ""},
		"no XML":                   {"hello", 500, "ErrorInvalidRequest", ""},
		"nothing":                  {"", 500, "ErrorInvalidRequest", ""},
		"document type":            {`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`, 500, "ErrorInvalidRequest", ""},
		"no folder":                {admin(""), 500, "ErrorSchemaValidation", ""},
		"ConvertId":                {envelope(impersonating, `<m:ConvertId DestinationFormat="EntryId"><m:SourceIds><t:AlternateId Id="DUMMY" Format="EwsId" Mailbox="DUMMY"/></m:SourceIds></m:ConvertId>`), 200, "ErrorInvalidIdMalformed", `MajorVersion="15" MinorVersion="20"`},
		"ConvertId without format": {envelope(impersonating, `<m:ConvertId><m:SourceIds><t:AlternateId Id="DUMMY" Format="EwsId" Mailbox="DUMMY"/></m:SourceIds></m:ConvertId>`), 500, "ErrorSchemaValidation", ""},
		"ResolveNames":             {envelope(impersonating, `<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>alex</m:UnresolvedEntry></m:ResolveNames>`), 200, "NoError", "alex.wilber@contoso.com"},
		"ResolveNames, several":    {envelope(impersonating, `<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>person</m:UnresolvedEntry></m:ResolveNames>`), 200, "ErrorNameResolutionMultipleResults", ""},
		"ResolveNames, nobody":     {envelope(impersonating, `<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>zzz</m:UnresolvedEntry></m:ResolveNames>`), 200, "ErrorNameResolutionNoResults", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ews(t, w, c.body, raw)
			if r.status != c.status || ewsCode(t, r) != c.code || !strings.Contains(r.body, c.has) {
				t.Errorf("%d %s\n%s", r.status, ewsCode(t, r), r.body)
			}
			if r.header.Get("Content-Type") != "text/xml; charset=utf-8" || r.header.Get("request-id") == "" {
				t.Errorf("%v", r.header)
			}
		})
	}
}

const impersonating = `<t:RequestServerVersion Version="Exchange2013_SP1"/><t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>` + sim.Mailbox + `</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>`

// ewsFolder is the id of the inbox.
func ewsFolder(t *testing.T, w *sim.World, raw string) string {
	t.Helper()
	_, rest, _ := strings.Cut(ews(t, w, soapBody("SmtpAddress", sim.Mailbox, inbox), raw).body, `<t:FolderId Id="`)
	id, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatal("no folder id")
	}
	return id
}

func TestEWSDoor(t *testing.T) {
	t.Parallel()
	w := start(t)
	good := token(t, w, sim.AppBackup, w.OutlookURL())
	body := soapBody("SmtpAddress", sim.Mailbox, inbox)
	for name, c := range map[string]struct {
		token       string
		body        string
		status      int
		diagnostics string
		policy      string
	}{
		"wrong audience":        {token(t, w, sim.AppBackup, w.GraphURL()), body, 401, `2000003;reason="The audience claim value is invalid 'aud'.";error_category="invalid_resource"`, ""},
		"no token":              {"", body, 401, "", ""},
		"no roles":              {token(t, w, sim.AppNoRoles, w.OutlookURL()), body, 401, `2000008;reason="The token contains no permissions, or permissions can not be understood.";error_category="invalid_grant"`, ""},
		"app not in the list":   {token(t, w, sim.AppNotAllowed, w.OutlookURL()), body, 403, "", "EWS is blocked by policy for this user or tenant"},
		"mailbox with EWS off":  {good, soapBody("SmtpAddress", "ews-off@contoso.com", inbox), 403, "", "EWS is disabled for this user or tenant"},
		"certificate's token":   {token(t, w, sim.AppCertificateOnly, w.OutlookURL()), body, 200, "", ""},
		"more roles than usual": {token(t, w, sim.AppSuperfluousRoles, w.OutlookURL()), body, 200, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ews(t, w, c.body, c.token)
			if r.status != c.status || r.header.Get("x-ms-diagnostics") != c.diagnostics || r.header.Get("X-EWS-Policy-Reason") != c.policy {
				t.Errorf("%d %v %s", r.status, r.header, r.body)
			}
			if r.status == 401 && !strings.HasPrefix(r.header.Get("WWW-Authenticate"), `Bearer client_id="00000002-0000-0ff1-ce00-000000000000"`) {
				t.Errorf("%q", r.header.Get("WWW-Authenticate"))
			}
		})
	}
	bearer := map[string]string{"Authorization": "Bearer " + good}
	if r := send(t, w.Client(), http.MethodGet, w.OutlookURL()+"/EWS/Exchange.asmx", "", bearer); r.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", r.status)
	}
	bearer["Content-Type"] = "application/soap+xml"
	if r := send(t, w.Client(), http.MethodPost, w.OutlookURL()+"/ews/exchange.asmx", body, bearer); r.status != http.StatusUnsupportedMediaType {
		t.Errorf("content type: %d", r.status)
	}
	if r := send(t, w.Client(), http.MethodPost, w.OutlookURL()+"/mapi", body, bearer); r.status != http.StatusNotFound {
		t.Errorf("path: %d", r.status)
	}
}
