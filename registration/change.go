package registration

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/graph"
)

// Places of a plan that are filled in while it is carried out.
const (
	newObjectID    = "<object id of the application>"
	newAppID       = "<client id of the application>"
	newPrincipalID = "<object id of the service principal>"
	newKey         = "<the new certificate, without its private key>"
	newStart       = "<beginning of the new certificate>"
	newEnd         = "<end of the new certificate>"
	oldKey         = "<unchanged>"
)

// consentID begins the ids of changes that grant a permission.
const consentID = "consent-"

type object = map[string]any

// changes lists the requests in the order in which they are sent. The bodies are
// those of internal/graph; a test compares them with what is really sent.
func (p *Plan) changes() []Change {
	list := []Change{}
	add := func(c Change) {
		c.URL = p.base.GraphBase() + c.URL
		list = append(list, c)
	}
	objectID, appID, principalID := newObjectID, newAppID, newPrincipalID
	secret := p.Credential.Type == connections.TypeClientSecret
	for _, r := range p.missingServices() {
		add(Change{ID: "service-" + string(r), Title: "Add " + r.Title() + " to the tenant", Method: "POST", URL: "/servicePrincipals",
			Body: object{"appId": r.AppID()}, Why: "the tenant does not know this service yet; it is refused if the tenant has no licence for it, and then nothing else is done"})
	}
	if e := p.Existing; e != nil {
		objectID, appID = e.ObjectID, e.AppID
		if e.PrincipalID != "" {
			principalID = e.PrincipalID
		}
		if !secret {
			add(Change{ID: "certificate", Title: "Add the certificate", Method: "PATCH", URL: "/applications/" + objectID,
				Body: object{"keyCredentials": p.keyBodies(e.keys)},
				Why:  fmt.Sprintf("the application proves its identity with it; what it has stays (%s)", count(len(e.keys), "certificate"))})
		}
	} else {
		add(Change{ID: "application", Title: "Create the application", Method: "PATCH", URL: "/applications(uniqueName='" + p.UniqueName + "')",
			Body: p.applicationBody(secret),
			Why:  "registers it, for this tenant only; sent with Prefer: create-if-missing, so that repeating it makes no second one"})
	}
	if secret {
		add(Change{ID: "secret", Title: "Add a client secret", Method: "POST", URL: "/applications/" + objectID + "/addPassword",
			Body: object{"passwordCredential": object{"displayName": secretName(p.Run), "endDateTime": newEnd}},
			Why:  "the application proves its identity with it; it is stored encrypted at once and never shown"})
	}
	if e := p.Existing; e != nil {
		if merged, more := p.merge(e.required); more {
			add(Change{ID: "permissions", Title: "Ask for the permissions", Method: "PATCH", URL: "/applications/" + objectID,
				Body: object{"requiredResourceAccess": accessBodies(merged)}, Why: "adds what is missing to the list that administrators see; nothing is taken away"})
		}
	}
	if p.Existing == nil || p.Existing.PrincipalID == "" {
		add(Change{ID: "service-principal", Title: "Create the service principal", Method: "POST", URL: "/servicePrincipals",
			Body: object{"appId": appID, "tags": principalTags()}, Why: "the enterprise application: without it nobody can sign in as the application"})
	}
	for _, q := range p.Permissions {
		if q.Granted {
			continue
		}
		add(Change{ID: consentID + string(q.Resource) + "-" + q.Role, Title: "Grant " + q.Role, Method: "POST", URL: "/servicePrincipals/" + q.ResourceID + "/appRoleAssignedTo",
			Body: object{"principalId": principalID, "resourceId": q.ResourceID, "appRoleId": q.ID}, Why: "admin consent: " + q.Why})
	}
	return list
}

func principalTags() []string { return []string{tagOurs, tagVisible} }

// secretName is the name of a run's client secret, by which it is found again.
func secretName(run string) string {
	if run == "" {
		run = unknownRun
	}
	return "c2conn " + run
}

// missingServices are the services that the plan has to add to the tenant.
func (p *Plan) missingServices() (list []Resource) {
	if p.Account == "" {
		return nil // nobody has looked
	}
	for _, q := range p.Permissions {
		if q.ResourceID == principalOf(q.Resource) && !slices.Contains(list, q.Resource) {
			list = append(list, q.Resource)
		}
	}
	return list
}

// application is what is sent to create it.
func (p *Plan) application(keys []graph.Key) graph.NewApplication {
	required, _ := p.merge(nil)
	return graph.NewApplication{DisplayName: p.AppName, Description: p.Description, Notes: p.Notes, Tags: p.Tags, Required: required, Keys: keys}
}

func (p *Plan) applicationBody(secret bool) object {
	a := p.application(nil)
	body := object{
		"displayName": a.DisplayName, "description": a.Description, "notes": a.Notes, "signInAudience": "AzureADMyOrg",
		"tags": a.Tags, "requiredResourceAccess": accessBodies(a.Required),
	}
	if !secret {
		body["keyCredentials"] = p.keyBodies(nil)
	}
	return body
}

// merge gives the required access of an application with what the plan needs,
// and whether that is more than before.
func (p *Plan) merge(before []graph.ResourceAccess) (after []graph.ResourceAccess, more bool) {
	for _, r := range before {
		after = append(after, graph.ResourceAccess{ResourceAppID: r.ResourceAppID, Roles: slices.Clone(r.Roles), Scopes: slices.Clone(r.Scopes)})
	}
	for _, q := range p.Permissions {
		i := slices.IndexFunc(after, func(r graph.ResourceAccess) bool { return strings.EqualFold(r.ResourceAppID, q.ResourceAppID) })
		if i < 0 {
			after, i = append(after, graph.ResourceAccess{ResourceAppID: q.ResourceAppID}), len(after)
		}
		if !slices.ContainsFunc(after[i].Roles, func(id string) bool { return strings.EqualFold(id, q.ID) }) {
			after[i].Roles, more = append(after[i].Roles, q.ID), true
		}
	}
	return after, more
}

func accessBodies(list []graph.ResourceAccess) []object {
	bodies := []object{}
	for _, r := range list {
		access := []object{}
		for _, id := range r.Roles {
			access = append(access, object{"id": id, "type": "Role"})
		}
		for _, id := range r.Scopes {
			access = append(access, object{"id": id, "type": "Scope"})
		}
		bodies = append(bodies, object{"resourceAppId": r.ResourceAppID, "resourceAccess": access})
	}
	return bodies
}

// keyBodies shows the certificates that stay and the new one.
func (p *Plan) keyBodies(old []graph.Key) []object {
	bodies := []object{}
	for _, k := range old {
		bodies = append(bodies, object{"keyId": k.ID, "type": k.Type, "usage": k.Usage, "displayName": k.DisplayName,
			"startDateTime": k.Start.UTC().Format(time.RFC3339), "endDateTime": k.End.UTC().Format(time.RFC3339), "key": oldKey})
	}
	added := object{"type": keyType, "usage": keyUsage, "displayName": p.Credential.Subject, "startDateTime": newStart, "endDateTime": newEnd, "key": newKey}
	if own := p.Credential.own; own != nil {
		k := keyOf(*own)
		added["startDateTime"], added["endDateTime"], added["key"] = k.Start.Format(time.RFC3339), k.End.Format(time.RFC3339), base64.StdEncoding.EncodeToString(k.Public)
	}
	return append(bodies, added)
}

// The kind of credential that a certificate is.
//
// Source: learn.microsoft.com/graph/api/resources/keycredential.
const (
	keyType  = "AsymmetricX509Cert"
	keyUsage = "Verify"
)

// keyOf is the public half of an identity, with the dates of the certificate
// itself: Entra ID refuses a later end.
func keyOf(i certs.Identity) graph.Key {
	return graph.Key{
		DisplayName: i.Subject(), Type: keyType, Usage: keyUsage, Thumbprint: string(i.Thumbprint()),
		Start: i.Certificate.NotBefore.UTC(), End: i.Certificate.NotAfter.UTC(), Public: i.CertificateDER(),
	}
}

// sameKey tells whether a key of an application is the certificate.
func sameKey(k graph.Key, thumbprint certs.Thumbprint, der []byte) bool {
	if len(k.Public) > 0 && len(der) > 0 {
		return bytes.Equal(k.Public, der)
	}
	return strings.EqualFold(k.Thumbprint, string(thumbprint))
}
