package cli

import (
	"cmp"
	"context"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/handout"
	"github.com/c2conn/c2conn/internal/verify"
)

// handedOut is a saved connection whose credential another tool is to use.
type handedOut struct {
	conn       connections.Connection
	cloud      cloud.Cloud
	credential entra.Credential
}

// handOut finds an online connection and its cloud.
func (a *app) handOut(ctx context.Context, name string) (*handedOut, error) {
	c, err := a.connection(ctx, name)
	if err != nil {
		return nil, err
	}
	if c.Location != connections.Online {
		return nil, refuse("%s is %s: only online connections sign in to Microsoft Entra ID, so there is nothing to hand out; its account is %s (c2conn show %s)", c.Name, c.Location, clean(c.Account), advice.ShellWord(c.Name))
	}
	clouds, err := a.cloudSet()
	if err != nil {
		return nil, err
	}
	in, err := clouds.Find(c.Cloud)
	return &handedOut{conn: c, cloud: in}, err
}

// load reads the credential, from wherever it is kept.
func (h *handedOut) load(ctx context.Context, a *app) (err error) {
	if h.credential, err = a.credential(ctx, h.conn); err != nil {
		return a.about(h, err)
	}
	return nil
}

// about gives an error what is known of the connection, for the advice.
func (a *app) about(h *handedOut, err error) error {
	return &adviceError{err: err, facts: verify.FactsOf(h.conn, h.cloud, a.Clock.Now())}
}

func (h *handedOut) tenant() string { return cmp.Or(h.conn.Tenant.ID, h.conn.Tenant.Domain) }

// application signs in as the connection's application. Its tokens are for other
// programs, which cannot answer when a service withdraws one early.
func (h *handedOut) application(a *app) (*entra.App, error) {
	client, err := a.httpClient(h.cloud)
	if err != nil {
		return nil, err
	}
	return entra.NewApp(entra.AppOptions{Cloud: h.cloud, TenantID: h.tenant(), ClientID: h.conn.Registration.ClientID,
		Credential: h.credential, HTTP: client, Now: a.Clock.Now, Rand: a.Rand, WithoutCAE: true})
}

// variables are what every tool gets, but for the credential.
func (h *handedOut) variables() []handout.Variable {
	c := h.conn
	list := []handout.Variable{{Name: handout.TenantID, Value: h.tenant()}, {Name: handout.ClientID, Value: c.Registration.ClientID}}
	if h.cloud.Name != cloud.Global {
		list = append(list, handout.Variable{Name: handout.AuthorityHost, Value: h.cloud.Login})
	}
	ews, site, admin := c.Endpoints.EWS, c.Endpoints.SharePoint, c.Endpoints.Admin
	// A profile is a file that others may have edited: it does not say where tokens travel.
	if !h.cloud.Allows(ews) {
		ews = h.cloud.EWS()
	}
	if !h.cloud.SharePointHost(site) {
		site = ""
	}
	if !h.cloud.SharePointHost(admin) {
		admin = ""
	}
	// Not C2CONN_ACCOUNT and the like: these answer the questions of `c2conn new`.
	for _, fact := range [][2]string{
		{"NAME", c.Name}, {"KIND", string(c.Kind)}, {"ACCOUNT", c.Account}, {"DOMAIN", c.Tenant.Domain}, {"GRAPH_URL", h.cloud.GraphBase()},
		{"EWS_URL", ews}, {"SHAREPOINT_URL", site}, {"SHAREPOINT_ADMIN_URL", admin},
	} {
		if fact[1] != "" {
			list = append(list, handout.Variable{Name: "C2CONN_CONNECTION_" + fact[0], Value: fact[1]})
		}
	}
	return list
}

// secretVariable is a client secret as a variable.
func (h *handedOut) secretVariable() handout.Variable {
	return handout.Variable{Name: handout.ClientSecret, Value: string(h.credential.Secret.Reveal()), Secret: true}
}
