package registration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
)

// Drift is where a registration is not as a saved connection needs it, and what
// else about it somebody should know. Its JSON form is part of c2conn's contract.
type Drift struct {
	Connection  string             `json:"connection"`
	Kind        connections.Kind   `json:"kind"`
	Set         string             `json:"set"` // of permissions: recommended or seed
	Tenant      connections.Tenant `json:"tenant"`
	Account     string             `json:"account"`         // who looked
	Roles       []string           `json:"roles,omitempty"` // of the account
	AppName     string             `json:"app_name"`
	ClientID    string             `json:"client_id"`
	ObjectID    string             `json:"object_id"`
	PrincipalID string             `json:"service_principal_id,omitempty"` // empty: it has none
	UsedBy      []string           `json:"also_used_by"`                   // other connections, saved or staged, with this registration

	Missing     []PlannedPermission     `json:"missing_consent"` // needed, without consent
	NotListed   []PlannedPermission     `json:"not_listed"`      // needed, not in requiredResourceAccess
	Superfluous []SuperfluousPermission `json:"superfluous"`     // consented to, and used by no saved connection; never removed by c2conn
	Certificate *DriftCertificate       `json:"certificate,omitempty"`
	// Others are credentials that are not this connection's, as far as that can be
	// told, and have expired or will within 30 days.
	Others []DriftCredential `json:"other_credentials"`

	Disabled            bool   `json:"disabled"` // the registration
	DisabledByMicrosoft string `json:"disabled_by_microsoft,omitempty"`
	PrincipalDisabled   bool   `json:"service_principal_disabled"`
	PrincipalMissing    bool   `json:"service_principal_missing"`
	SignInAudience      string `json:"sign_in_audience"`
	OpenToOthers        bool   `json:"open_to_other_tenants"`

	Notes []string   `json:"notes"` // what c2conn does not mend, in words
	Pages DriftPages `json:"pages"`

	plan       Plan // with the permissions that something is to be done about
	purpose    Purpose
	credential connections.Credential
	identity   *certs.Identity
	unaddable  string // why the certificate is not added although it is not listed
}

// SuperfluousPermission is a permission that nothing uses.
type SuperfluousPermission struct {
	Resource      Resource `json:"resource"`
	ResourceTitle string   `json:"resource_title"`
	Role          string   `json:"role"`
	Allows        string   `json:"allows"` // in plain words; empty where c2conn does not know the permission
	Writes        bool     `json:"writes"` // it can change, create, delete or send something
}

// DriftCertificate is the connection's certificate, by itself and as registered.
type DriftCertificate struct {
	Thumbprint      string    `json:"thumbprint"` // SHA-1
	NotBefore       time.Time `json:"not_before,omitzero"`
	NotAfter        time.Time `json:"not_after,omitzero"`
	Listed          bool      `json:"listed"` // in the registration
	KeyID           string    `json:"key_id,omitempty"`
	RegisteredStart time.Time `json:"registered_start,omitzero"`
	RegisteredEnd   time.Time `json:"registered_end,omitzero"`
	EndDiffers      bool      `json:"end_differs"` // from the certificate's own by more than a day
	NotYetValid     bool      `json:"not_yet_valid"`
	Expired         bool      `json:"expired"`
}

// DriftCredential is another credential of the registration.
type DriftCredential struct {
	Type       string    `json:"type"` // certificate or client-secret
	Name       string    `json:"name,omitempty"`
	KeyID      string    `json:"key_id"`
	Thumbprint string    `json:"thumbprint,omitempty"`
	NotAfter   time.Time `json:"not_after"`
	Expired    bool      `json:"expired"`
}

// DriftPages are the pages of the Entra admin centre on which people mend what
// c2conn does not; empty where the cloud has no portal.
type DriftPages struct {
	Overview    string `json:"overview,omitempty"`
	Permissions string `json:"permissions,omitempty"`
	Credentials string `json:"credentials,omitempty"`
}

// endTolerance is by how much a registered end may differ from the certificate's:
// azure-cli sets it a second earlier, other tools write the day alone.
const endTolerance = day

// Inspect reads what the tenant has registered for a saved connection and holds it
// against what the connection needs. id is its certificate; nil for a client secret,
// or where the certificate is not at hand: then it is looked for by its thumbprint,
// and cannot be added. Nothing is changed.
//
// Errors: *entra.WrongTokenError for a sign-in to another tenant, *advice.RegistrationGoneError where
// the registration does not exist any more, *graph.Error, those of the store.
func (r *Registrar) Inspect(ctx context.Context, admin Admin, c connections.Connection, id *certs.Identity) (*Drift, error) {
	if c.Location != connections.Online || c.Registration.ClientID == "" {
		return nil, fmt.Errorf("%s has no application in Entra ID, so there is nothing to compare", c.Name)
	}
	if err := sameTenant(admin.Claims.TenantID, c.Tenant.ID); err != nil {
		return nil, err
	}
	saved, err := r.o.Store.InUse(ctx)
	if err != nil {
		return nil, err
	}
	usedBy := []string{}
	for _, o := range sharing(saved, c) {
		if !slices.Contains(usedBy, o.Name) { // saved and staged
			usedBy = append(usedBy, o.Name)
		}
	}
	v, err := r.view(ctx, admin, c)
	if err != nil {
		return nil, err
	}
	if err := sameTenant(v.survey.Organization.ID, c.Tenant.ID); err != nil {
		return nil, err
	}
	d := &Drift{
		Connection: c.Name, Kind: c.Kind, Tenant: tenantOf(v.survey.Organization), Account: account(admin, v.survey.Me),
		AppName: v.app.DisplayName, ClientID: v.app.AppID, ObjectID: v.app.ObjectID, PrincipalID: v.principal.ObjectID, UsedBy: usedBy,
		Superfluous: []SuperfluousPermission{}, Others: []DriftCredential{}, Notes: []string{},
		Disabled: v.app.Disabled, DisabledByMicrosoft: v.app.DisabledByMicrosoft,
		PrincipalMissing: v.principal.ObjectID == "", PrincipalDisabled: v.principal.ObjectID != "" && !v.principal.Enabled,
		SignInAudience: v.app.SignInAudience, OpenToOthers: v.app.SignInAudience != "" && v.app.SignInAudience != ownTenantOnly,
		Pages:   DriftPages{r.o.Cloud.AppOverview(v.app.AppID), r.o.Cloud.AppPermissions(v.app.AppID), r.o.Cloud.AppCredentials(v.app.AppID)},
		purpose: PurposeOf(c), credential: c.Credential, identity: id,
	}
	d.Set = d.purpose.Set.Name()
	found := Compare(d.purpose, Also(saved, c), v.roles())
	for _, x := range found.Superfluous {
		d.Superfluous = append(d.Superfluous, SuperfluousPermission{x.Resource, x.Resource.Title(), x.Role, x.Allows, x.Writes})
	}
	now := r.o.Clock.Now()
	d.judgeCertificate(v.app, now)
	d.judgeOthers(v.app, now)
	d.judgePermissions(r.o.Cloud, admin, v, found)
	d.note(v)
	return d, nil
}

// ownTenantOnly is the sign-in audience of an application for its tenant alone.
const ownTenantOnly = "AzureADMyOrg"

func sameTenant(got, want string) error {
	if got != "" && want != "" && !strings.EqualFold(got, want) {
		return &entra.WrongTokenError{Reason: entra.OtherTenant, Got: got, Want: want}
	}
	return nil
}

// view is what the tenant has.
type view struct {
	survey    graph.Survey
	app       graph.Application
	principal graph.ServicePrincipal // without an object id: there is none
	granted   []graph.Assignment
}

// view reads it, side by side.
func (r *Registrar) view(ctx context.Context, admin Admin, c connections.Connection) (v view, err error) {
	var all sync.WaitGroup
	var surveyErr, appErr, principalErr error
	g, clientID := admin.Graph, c.Registration.ClientID
	all.Go(func() {
		v.survey, surveyErr = g.Survey(ctx, graph.SurveyRequest{Me: !admin.Claims.App, Resources: []string{Exchange.AppID(), Graph.AppID(), SharePoint.AppID()}})
	})
	all.Go(func() { v.app, appErr = g.ApplicationByAppID(ctx, clientID) })
	all.Go(func() {
		if v.principal, principalErr = g.ServicePrincipal(ctx, clientID); principalErr == nil {
			// What one server has just shown: another one may not have heard of it, or of its end.
			v.granted, principalErr = g.Assignments(graph.Fresh(ctx, listedLimit), v.principal.ObjectID)
		}
		if notFound(principalErr) {
			v.principal, v.granted, principalErr = graph.ServicePrincipal{}, nil, nil
		}
	})
	all.Wait()
	switch {
	case ctx.Err() != nil:
		return v, context.Cause(ctx)
	case surveyErr == nil && notFound(appErr):
		// Another tenant than the connection's knows nothing of it.
		if err := sameTenant(v.survey.Organization.ID, c.Tenant.ID); err != nil {
			return v, err
		}
		err := gone(ctx, g, c, tenantOf(v.survey.Organization))
		if lost, ok := errors.AsType[*advice.RegistrationGoneError](err); !ok || !lost.Deleted.IsZero() || r.o.Clock.Now().Sub(c.Created) >= recent {
			return v, err
		}
		// Not everywhere yet is not gone.
		if v.app, appErr = g.ApplicationByAppID(graph.Fresh(ctx, r.o.Consistency), clientID); notFound(appErr) {
			return v, err
		}
	}
	return v, cmp.Or(surveyErr, appErr, principalErr) // often the same, so one is enough
}

// roles names what was granted, for each service that c2conn knows.
func (v view) roles() map[Resource][]string {
	roles := map[Resource][]string{}
	for _, r := range []Resource{Exchange, Graph, SharePoint} {
		roles[r] = []string{}
		service := v.survey.Resources[r.AppID()]
		for _, a := range v.granted {
			if service.ObjectID == "" || !strings.EqualFold(a.ResourceID, service.ObjectID) {
				continue
			}
			name := a.RoleID // the service does not offer it any more
			if i := slices.IndexFunc(service.Roles, func(r graph.AppRole) bool { return strings.EqualFold(r.ID, a.RoleID) }); i >= 0 {
				name = service.Roles[i].Value
			}
			roles[r] = append(roles[r], name)
		}
	}
	return roles
}

// elsewhere counts what was granted on services that c2conn does not judge.
func (v view) elsewhere() (n int) {
	for _, a := range v.granted {
		known := false
		for _, s := range v.survey.Resources {
			known = known || strings.EqualFold(s.ObjectID, a.ResourceID)
		}
		if !known {
			n++
		}
	}
	return n
}

// judgeCertificate compares the connection's certificate with the registered one.
func (d *Drift) judgeCertificate(app graph.Application, now time.Time) {
	if d.credential.Type != connections.TypeCertificate {
		return
	}
	thumbprint, der := certs.Thumbprint(d.credential.Thumbprint), []byte(nil)
	c := &DriftCertificate{NotAfter: d.credential.NotAfter}
	if d.identity != nil {
		x := d.identity.Certificate
		thumbprint, der, c.NotBefore, c.NotAfter = d.identity.Thumbprint(), x.Raw, x.NotBefore.UTC(), x.NotAfter.UTC()
	}
	c.Thumbprint, d.Certificate = string(thumbprint), c
	for _, k := range app.Keys {
		if sameKey(k, thumbprint, der) && (!c.Listed || k.End.After(c.RegisteredEnd)) {
			c.Listed, c.KeyID, c.RegisteredStart, c.RegisteredEnd = true, k.ID, k.Start.UTC(), k.End.UTC()
		}
	}
	c.NotYetValid = now.Before(c.NotBefore) || now.Before(c.RegisteredStart)
	c.Expired = ended(c.NotAfter, now) || ended(c.RegisteredEnd, now)
	c.EndDiffers = c.Listed && !c.RegisteredEnd.IsZero() && !c.NotAfter.IsZero() && c.RegisteredEnd.Sub(c.NotAfter).Abs() > endTolerance
	switch {
	case c.Listed:
	case d.identity == nil:
		d.unaddable = "It is not at hand, so it cannot be added from here."
	case ended(c.NotAfter, now):
		d.unaddable = "It has expired, so adding it is of no use; make a new one."
	}
}

func ended(end, now time.Time) bool { return !end.IsZero() && !now.Before(end) }

// judgeOthers lists what has expired or soon will.
func (d *Drift) judgeOthers(app graph.Application, now time.Time) {
	add := func(c DriftCredential) {
		if c.NotAfter.IsZero() || c.NotAfter.Sub(now) > connections.ExpirySoon {
			return
		}
		c.NotAfter, c.Expired = c.NotAfter.UTC(), ended(c.NotAfter, now)
		d.Others = append(d.Others, c)
	}
	for _, k := range app.Keys {
		if d.Certificate == nil || !strings.EqualFold(k.Thumbprint, d.Certificate.Thumbprint) {
			add(DriftCredential{Type: connections.TypeCertificate, Name: k.DisplayName, KeyID: k.ID, Thumbprint: k.Thumbprint, NotAfter: k.End})
		}
	}
	for _, s := range app.Secrets {
		add(DriftCredential{Type: connections.TypeClientSecret, Name: s.DisplayName, KeyID: s.ID, NotAfter: s.End})
	}
}
