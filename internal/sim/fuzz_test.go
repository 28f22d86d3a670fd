package sim

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/soap"
)

func FuzzJWT(f *testing.F) {
	f.Add("eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCIsIng1dCNTMjU2IjoiQUFBQSJ9.eyJhdWQiOiJodHRwczovL2EvYi9vYXV0aDIvdjIuMC90b2tlbiIsImlzcyI6ImEiLCJzdWIiOiJhIiwianRpIjoiMSIsIm5iZiI6MSwiZXhwIjoyfQ.AAAA")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("..")
	f.Add("e30.e30.e30")
	f.Add("bnVsbA.bnVsbA.")
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := parseJWT(raw)
		if err != nil {
			return
		}
		if len(raw) > maxJWT || strings.Count(raw, ".") != 2 {
			t.Errorf("taken: %q", raw)
		}
		one, other, err := token.header.thumbprints()
		if err == nil && (one != nil && len(one) != 20 || other != nil && len(other) != 32) {
			t.Errorf("thumbprints of %d and %d bytes", len(one), len(other))
		}
		var claims assertionClaims
		if strictJSON(token.payload, &claims) == nil {
			unixTime(claims.Expires)
		}
	})
}

func FuzzSOAP(f *testing.F) {
	const head = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="` + soap.TypesNS + `" xmlns:m="` + soap.MessagesNS + `">`
	f.Add([]byte(head + `<s:Header><t:RequestServerVersion Version="Exchange2013_SP1"/><t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>admin@contoso.com</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation></s:Header><s:Body><m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder></s:Body></s:Envelope>`))
	f.Add([]byte(head + `<s:Body><m:ConvertId DestinationFormat="EntryId"><m:SourceIds><t:AlternateId Id="D" Format="EwsId" Mailbox="D"/></m:SourceIds></m:ConvertId></s:Body></s:Envelope>`))
	f.Add([]byte(head + `<s:Body><m:ResolveNames ReturnFullContactData="true"><m:UnresolvedEntry>a</m:UnresolvedEntry></m:ResolveNames></s:Body></s:Envelope>`))
	f.Add([]byte(head + `<s:Body><m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="folder:DisplayName"/></t:AdditionalProperties></m:FolderShape><m:FolderIds><t:FolderId Id="AAMkfHw="/></m:FolderIds></m:GetFolder></s:Body></s:Envelope>`))
	f.Add([]byte(head + `<s:Body><m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="folder:EffectiveRights"/><t:FieldURI FieldURI="folder:PermissionSet"/></t:AdditionalProperties></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="publicfoldersroot"/></m:FolderIds></m:GetFolder></s:Body></s:Envelope>`))
	f.Add([]byte(strings.Repeat("<a>", 100)))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`))
	f.Add([]byte("\xef\xbb\xbf<a/>"))
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	w := &World{options: Options{Now: func() time.Time { return now }}, faults: faultSet{active: map[string]*activeFault{}}}
	owner := &user{ID: "1", DisplayName: "Admin", MailNickname: "admin", ProxyAddresses: []string{"SMTP:admin@contoso.com"}, mailbox: newMailbox("user")}
	w.dir = &directory{users: []*user{owner}}
	f.Fuzz(func(t *testing.T, data []byte) {
		var call ewsCall
		var fault *soap.Fault
		call.Call, fault = soap.ParseCall(data, serverVersions())
		call.routing.anchor = "admin@contoso.com"
		out := ""
		if fault == nil {
			out, fault = w.ewsOperation(call, owner)
			out = soapEnvelope(out)
		}
		if fault != nil {
			out = string(w.soapFault(*fault).body)
		}
		if err := xml.Unmarshal([]byte(out), new(struct{})); err != nil {
			t.Errorf("the answer is no XML: %v\n%s", err, out)
		}
	})
}

func FuzzForm(f *testing.F) {
	f.Add("grant_type=client_credentials&client_id=a&client_secret=b&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default", "", true)
	f.Add("grant_type=client_credentials&scope=x", "Basic YTpi", true)
	f.Add("grant_type=client_credentials&client_id=a&resource=b", "Basic !", false)
	f.Add("%zz=;&", "", true)
	f.Fuzz(func(t *testing.T, body, authorization string, v2 bool) {
		header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {authorization}}
		form, fail := parseForm(header, []byte(body))
		if fail != nil {
			return
		}
		request, fail := understand(form, v2)
		if fail == nil && (request.clientID == "" || request.scope == "") {
			t.Errorf("understood without client or scope: %q", body)
		}
	})
}

func FuzzGraphURL(f *testing.F) {
	f.Add("users/admin@contoso.com/mailboxSettings", "$select=id,displayName&$top=5")
	f.Add("applications(appId='a')", "$filter=displayName eq 'O''Brien' and startswith(mail,'a')")
	f.Add("users('a''b')", "%24filter=proxyAddresses/any(p:p eq 'smtp:a@b')")
	f.Add("groups((", "$filter=a in ('b','c')")
	f.Add("%zz//", "$top=-1&$top=2")
	f.Fuzz(func(t *testing.T, path, query string) {
		template, keys, ok := graphTemplate(path)
		if ok && strings.Count(template, "/{id}") < len(keys) {
			t.Errorf("%q: %q with %d keys", path, template, len(keys))
		}
		q, err := parseGraphQuery(query)
		if err != nil {
			return
		}
		object := fieldsOf(user{DisplayName: "a", ProxyAddresses: []string{"smtp:a@b"}})
		for _, c := range q.filter {
			object.matches(c)
		}
	})
}

func FuzzFault(f *testing.F) {
	for _, seed := range []string{"throttle=1s,2,graph", "missing-role=A,B", "nonsense", "slow=", "=", "login-error=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		name, fault, err := parseFault(spec)
		if (err == nil) != (fault != nil) || err == nil && name == "" {
			t.Errorf("%q: %q %v %v", spec, name, fault, err)
		}
	})
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte(`{"requests":[{"id":"1","method":"GET","url":"/me"},{"id":"2","method":"POST","url":"/applications","headers":{"Content-Type":"application/json"},"body":{},"dependsOn":["1"]}]}`))
	f.Add([]byte(`{"requests":[{"id":"1","method":"GET","url":"//host/me","dependsOn":["1"]}]}`))
	f.Add([]byte(`{"requests":null}`))
	f.Add([]byte(`{"requests":[{"id":"1","method":"GET","url":"%zz"}]}{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		parts, err := parseBatch(data)
		if err != nil {
			return
		}
		if len(parts) == 0 || len(parts) > largestBatch {
			t.Errorf("%d parts", len(parts))
		}
		for _, p := range parts {
			if p.ID == "" || len(p.DependsOn) > 1 {
				t.Errorf("%+v", p)
			}
		}
	})
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"displayName eq 'O''Brien'", "tags/any(t:t eq 'c2conn:run:1')", "createdByAppId eq '1' and startswith(displayName,'a')", "appId in ('a','b')", "tags/any(:", "/any()", "a eq"} {
		f.Add(seed)
	}
	name := "u"
	object := fieldsOf(&application{DisplayName: "O'Brien", Tags: []string{"c2conn:run:1"}, UniqueName: &name, other: fields{"web": []byte("{}")}})
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseFilter(text)
		if err == nil && len(list) == 0 {
			t.Errorf("%q is a filter without a condition", text)
		}
		for _, c := range list {
			if c.property == "" && object.matches(c) {
				t.Errorf("%q matches without a property", text)
			}
		}
	})
}

func FuzzApplicationBody(f *testing.F) {
	f.Add([]byte(`{"displayName":"x","tags":["a"],"requiredResourceAccess":[{"resourceAppId":"00000003-0000-0000-c000-000000000000","resourceAccess":[]}],"keyCredentials":[{"key":"AAAA"}]}`))
	f.Add([]byte(`{"passwordCredentials":[null],"uniqueName":null,"keyCredentials":[{"keyId":"x","endDateTime":5}]}`))
	f.Add([]byte(`{"displayName":null,"isDisabled":"x","@odata.type":"y"}`))
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	w := &World{options: Options{Now: func() time.Time { return now }}, dice: newDice(1), faults: faultSet{active: map[string]*activeFault{}}}
	w.dir = &directory{}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := graphCall{request: &request{world: w, body: data, Request: &http.Request{Header: http.Header{"Content-Type": {"application/json"}}}}}
		body, bad := c.object()
		if bad != nil {
			return
		}
		a := &application{DisplayName: "before"}
		if bad := w.applyApplication(c, a, body); bad == nil && (a.DisplayName == "" || len(a.DisplayName) > 4*256) {
			t.Errorf("display name %q", a.DisplayName)
		}
		_ = fieldsOf(a)
	})
}
