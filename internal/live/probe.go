package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/registration"
)

// probe is an application of the program's own, on which the facts are tried that
// would disturb the one of c2conn. Its key is in memory only.
type probe struct {
	*live
	m       made
	app     *entra.App
	granted map[string][]string // by scope: the roles that its tokens are to hold
}

const (
	portalTag  = "WindowsAzureActiveDirectoryIntegratedApp"
	intuneRole = "DeviceManagementServiceConfig.Read.All"
)

// probes makes the application and asks it everything.
func (l *live) probes(ctx context.Context) error {
	p := &probe{live: l, granted: map[string][]string{}}
	for _, step := range []func(context.Context) error{p.register, p.principal, p.consent, p.tokens, p.ews, p.sharePoint, p.intune, p.assertion, p.addKey, p.switchOff} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// register makes the application: all that it needs in one PATCH.
func (p *probe) register(ctx context.Context) error {
	unique, began := "c2conn-"+p.connection, p.clock.Now()
	key := graph.Key{Public: p.keys[0].CertificateDER(), DisplayName: "CN=c2conn live test", Type: "AsymmetricX509Cert", Usage: "Verify", Start: p.keys[0].Certificate.NotBefore, End: p.keys[0].Certificate.NotAfter}
	wish := graph.NewApplication{DisplayName: p.name + " probe", Description: "Made by make live, which removes it.", Tags: []string{"c2conn", "c2conn:live"}, Keys: []graph.Key{key},
		Required: []graph.ResourceAccess{{ResourceAppID: registration.Graph.AppID(), Roles: []string{"df021288-bdef-4463-88db-98f22de89214"}}}} // User.Read.All
	app, created, refusal := p.graph.UpsertApplication(ctx, unique, wish)
	err := refusal
	if e, ok := errorOf(refusal); ok && (e.Status == http.StatusBadRequest || e.Status == http.StatusNotFound) {
		p.report.settle("upsert", false, "%v", refusal)
		app, err = p.graph.CreateApplication(ctx, wish)
	}
	if err != nil {
		return err
	}
	p.m = p.remember(made{application: app.ObjectID, client: app.AppID, name: wish.DisplayName})

	machines := map[string]bool{}
	s := p.poll(ctx, began, steady, func() (string, bool) {
		a := p.get(ctx, "/applications/"+app.ObjectID+"?$select=id")
		machines[a.named("x-ms-ags-diagnostic")] = true
		return a.String(), a.good()
	})
	p.report.settle("replicas", s.ok && s.settled <= patience, "GET /applications/{id}: %s; %d front ends answered", s, len(machines))
	back, err := p.graph.Application(graph.Fresh(ctx, patience), app.ObjectID)
	if err != nil || refusal != nil {
		return err
	}
	whole := len(back.Keys) == 1 && bytes.Equal(back.Keys[0].Public, key.Public) && len(back.Required) == 1 && back.UniqueName == unique
	p.report.settle("upsert", whole, "created: %t; read back: %d certificates, %d resources asked for, uniqueName %q", created, len(back.Keys), len(back.Required), back.UniqueName)
	a := p.ask(ctx, "", http.MethodPatch, "/applications(uniqueName='"+unique+"')", "create-if-missing, return=representation", map[string]any{"displayName": wish.DisplayName, "notes": "changed"})
	p.report.settle("representation", a.status == http.StatusOK && len(a.body) > 0, "%s, Preference-Applied %q, %d bytes", a, a.named("Preference-Applied"), len(a.body))
	return nil
}

func errorOf(err error) (*graph.Error, bool) { return errors.AsType[*graph.Error](err) }

func (p *probe) principal(ctx context.Context) error {
	sp, err := p.graph.CreateServicePrincipal(graph.Fresh(ctx, patience), p.m.client, []string{"c2conn", portalTag})
	if err != nil {
		return err
	}
	p.m.servicePrincipal = sp.ObjectID
	p.remember(p.m)
	search := "/servicePrincipals?" + url.Values{"$select": {"id,appId,tags"}, "$filter": {"appId eq '" + p.m.client + "' and tags/any(t:t eq '" + portalTag + "')"}}.Encode()
	s := p.poll(ctx, p.clock.Now(), 1, func() (string, bool) {
		a := p.get(ctx, search)
		return a.String(), a.good() && bytes.Contains(a.body, []byte(p.m.client))
	})
	p.report.settle("tag", s.ok, "searched for by the tag: %s (the portal's page itself was not looked at)", s)
	return nil
}

// consent grants what the facts need of each service that the tenant has.
func (p *probe) consent(ctx context.Context) error {
	needs := map[registration.Resource][]string{registration.Graph: {"User.Read.All", "Sites.Read.All"}, registration.Exchange: {"full_access_as_app"}, registration.SharePoint: {"Sites.FullControl.All"}}
	scopes := map[registration.Resource]string{registration.Graph: p.cloud.GraphScope(), registration.Exchange: p.cloud.ExchangeScope(), registration.SharePoint: registration.SharePoint.AppID() + "/.default"}
	for resource, roles := range needs {
		if p.services[resource.AppID()].ObjectID != "" {
			p.granted[scopes[resource]] = roles
		}
	}
	needs[registration.Graph] = append(needs[registration.Graph], intuneRole)
	var wanted []graph.Assignment
	for resource, roles := range needs {
		for _, r := range p.services[resource.AppID()].Roles {
			if r.ForApplications && slices.Contains(roles, r.Value) {
				wanted = append(wanted, graph.Assignment{PrincipalID: p.m.servicePrincipal, ResourceID: p.services[resource.AppID()].ObjectID, RoleID: r.ID})
			}
		}
	}
	return errors.Join(p.graph.Assign(graph.Fresh(ctx, patience), wanted)...)
}

// tokens asks for tokens until they come with their roles, steadily.
func (p *probe) tokens(ctx context.Context) (err error) {
	p.app, err = entra.NewApp(entra.AppOptions{Cloud: p.cloud, TenantID: p.tenant.ID, ClientID: p.m.client, Credential: entra.Credential{Identity: &p.keys[0]}, HTTP: p.http, WithoutCAE: true, Now: p.clock.Now})
	if err != nil {
		return err
	}
	s := p.poll(ctx, p.clock.Now(), steady, func() (string, bool) {
		for scope, roles := range p.granted {
			t, what := appToken(ctx, p.app, scope)
			if what != "" {
				return what, false
			}
			for _, role := range roles {
				if !slices.Contains(t.Claims.Roles, role) {
					return "a token without " + role, false
				}
			}
		}
		return "tokens", true
	})
	if p.report.settle("tokens", s.ok && s.settled <= patience, "tokens for %d services: %s", len(p.granted), s); !s.ok {
		return fmt.Errorf("the new application's tokens do not come: %s", s.last)
	}
	p.report.open("the tenant has Microsoft Graph, Exchange Online and SharePoint Online", "resource")
	for _, r := range []registration.Resource{registration.Exchange, registration.SharePoint} {
		if _, there := p.services[r.AppID()]; !there {
			_, what := appToken(ctx, p.app, r.AppID()+"/.default")
			p.report.open(r.Title()+" is missing, but never made here: it would stay in the tenant. A token for it: "+what, "resource")
		}
	}
	return nil
}

func (p *probe) ews(ctx context.Context) error {
	a, evidence := p.soap(ctx, "inbox")
	off, works := a.status == http.StatusForbidden && a.named("X-EWS-Policy-Reason") != "", bytes.Contains(a.body, []byte("Envelope>"))
	p.report.open(evidence, "ews-off", "ews-403", "public-folders")
	if works { // which refutes nothing
		p.report.open("not yet here, tenants are switched one by one: "+evidence, "ews-off")
	} else if off {
		p.report.settle("ews-off", true, "%s", evidence)
	}
	if a.status == http.StatusForbidden {
		p.report.settle("ews-403", off && len(a.body) == 0, "%s", evidence)
	}
	if works {
		a, evidence = p.soap(ctx, "publicfoldersroot")
		if p.report.open(evidence+" (the tenant may have none)", "public-folders"); bytes.Contains(a.body, []byte("ResponseCode>NoError<")) {
			p.report.settle("public-folders", bytes.Contains(a.body, []byte("CreateHierarchy>")), "%s", evidence)
		}
	}
	return nil
}

// soap opens a folder over EWS, as plainly as can be: all of the answer counts.
func (p *probe) soap(ctx context.Context, folder string) (answer, string) {
	token, what := appToken(ctx, p.app, p.cloud.ExchangeScope())
	if what != "" {
		return answer{}, "no token for Exchange Online: " + what
	}
	var mailbox strings.Builder
	_ = xml.EscapeText(&mailbox, []byte(p.mailbox)) // a strings.Builder never fails
	const services = "http://schemas.microsoft.com/exchange/services/2006/"
	body := `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="` + services + `types" xmlns:m="` + services + `messages"><s:Header><t:RequestServerVersion Version="Exchange2013_SP1"/>` +
		`<t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>` + mailbox.String() + `</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation></s:Header>` +
		`<s:Body><m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="folder:EffectiveRights"/></t:AdditionalProperties></m:FolderShape>` +
		`<m:FolderIds><t:DistinguishedFolderId Id="` + folder + `"/></m:FolderIds></m:GetFolder></s:Body></s:Envelope>`
	header := map[string]string{"Content-Type": "text/xml; charset=utf-8", "X-AnchorMailbox": p.mailbox} // by which public folders are found
	a := p.send(ctx, http.MethodPost, p.cloud.EWS(), string(token.Raw.Reveal()), header, []byte(body))
	_, code, _ := strings.Cut(string(a.body), "ResponseCode>")
	code, _, _ = strings.Cut(code, "<")
	return a, fmt.Sprintf("GetFolder %s: %s %.60q, X-EWS-Policy-Reason %q, x-ms-diagnostics %q, a body of %d bytes (%s)",
		folder, a, code, a.named("X-EWS-Policy-Reason"), a.named("x-ms-diagnostics"), len(a.body), a.named("Content-Type"))
}

func (p *probe) intune(ctx context.Context) error {
	token, what := appToken(ctx, p.app, p.cloud.GraphScope())
	if what != "" || !slices.Contains(token.Claims.Roles, intuneRole) {
		p.report.open("no token with that role came "+what, "intune")
		return nil
	}
	a := p.ask(ctx, string(token.Raw.Reveal()), http.MethodGet, "/deviceManagement/deviceEnrollmentConfigurations?$top=1", "", nil)
	switch {
	case a.good():
		p.report.open("granted and good for calls: the tenant has Intune", "intune")
	case withoutIntune(a):
		p.report.settle("intune", true, "granted; the call: %s", a)
	default: // a wrong address is refused, too
		p.report.open("granted; the call was refused, but not for want of Intune: "+a.String(), "intune")
	}
	return nil
}

// withoutIntune tells whether a refusal is for want of Intune or of its licence.
func withoutIntune(a answer) bool {
	text := strings.ToLower(a.code + " " + a.text)
	return (a.status == http.StatusBadRequest || a.status == http.StatusForbidden) &&
		slices.ContainsFunc([]string{"not applicable to target tenant", "intune", "licens"}, func(w string) bool { return strings.Contains(text, w) })
}

// assertion signs in with a proof that expired an hour ago.
func (p *probe) assertion(ctx context.Context) error {
	hour := p.clock.Now().Add(-time.Hour)
	proof, err := signed(p.keys[0], "PS256", map[string]any{"aud": p.cloud.Authority(p.tenant.ID) + "/oauth2/v2.0/token", "iss": p.m.client, "sub": p.m.client,
		"jti": p.connection, "nbf": hour.Add(-10 * time.Minute).Unix(), "exp": hour.Unix()})
	a := p.login(ctx, p.tenant.ID, "token", url.Values{"grant_type": {"client_credentials"}, "client_id": {p.m.client}, "scope": {p.cloud.GraphScope()},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {proof}})
	p.report.settle("700024", a.code == "AADSTS700024", "%s", a)
	return err
}

// addKey lets the application give itself a certificate. What exactly the proof has
// to look like is tried, the documented form first.
//
// Source: learn.microsoft.com/graph/application-rollkey-prooftoken.
func (p *probe) addKey(ctx context.Context) error {
	token, what := appToken(ctx, p.app, p.cloud.GraphScope())
	if what != "" {
		return errors.New(what)
	}
	tried, now := []string{}, p.clock.Now()
	for _, form := range [][2]string{{"RS256", p.m.application}, {"PS256", p.m.application}, {"RS256", p.m.client}} {
		proof, err := signed(p.keys[0], form[0], map[string]any{"aud": "00000002-0000-0000-c000-000000000000", "iss": form[1], "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()})
		if err != nil {
			return err
		}
		a := p.ask(ctx, string(token.Raw.Reveal()), http.MethodPost, "/applications/"+p.m.application+"/addKey", "", map[string]any{"proof": proof, "passwordCredential": nil,
			"keyCredential": map[string]string{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(p.keys[1].CertificateDER())}})
		tried = append(tried, fmt.Sprintf("%s, issuer the object id: %t: %s", form[0], form[1] == p.m.application, a))
		if p.report.settle("addkey", a.good(), "%s", strings.Join(tried, "; ")); a.good() || a.err != nil {
			return a.err
		}
	}
	return nil
}

// switchOff disables the application in both ways and waits for the refusal.
func (p *probe) switchOff(ctx context.Context) error {
	for _, way := range []struct {
		fact, path, property string
		off                  bool
	}{
		{"principal-disabled", "/servicePrincipals/" + p.m.servicePrincipal, "accountEnabled", false}, {"disabled", "/applications/" + p.m.application, "isDisabled", true},
	} {
		if a := p.ask(ctx, "", http.MethodPatch, way.path, "", map[string]bool{way.property: way.off}); !a.good() {
			p.report.open("PATCH "+way.property+": "+a.String(), way.fact)
			continue
		}
		before := ""
		s := p.poll(ctx, p.clock.Now(), 3, func() (string, bool) { // the same refusal, again and again
			_, what := appToken(ctx, p.app, p.cloud.GraphScope())
			same := what == before && what != ""
			before = what
			return what, same
		})
		if p.report.settle(way.fact, strings.HasPrefix(s.last, "AADSTS7000112:"), "%s (from %.1f s on)", s.last, s.settled.Seconds()); !s.ok {
			p.report.open("no steady refusal came: "+s.String(), way.fact)
		}
		if a := p.ask(ctx, "", http.MethodPatch, way.path, "", map[string]bool{way.property: !way.off}); !a.good() {
			return fmt.Errorf("enable the application again: %s", a)
		}
		if s := p.poll(ctx, p.clock.Now(), 3, func() (string, bool) {
			_, what := appToken(ctx, p.app, p.cloud.GraphScope())
			return what, what == ""
		}); !s.ok {
			return fmt.Errorf("the application is not enabled again: %s", s.last)
		}
	}
	return nil
}
