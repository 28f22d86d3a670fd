package registration

import (
	"context"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
)

// Admin is whoever signed in to change the tenant: a person, the bearer of a
// token, or an application. The token stays in Graph, in memory.
type Admin struct {
	Graph  directory // a *graph.Client
	Claims entra.AdminClaims
}

// directory is what a registration asks of Microsoft Graph. *graph.Client is the
// one that talks to a tenant; the tests of lost answers and of crashes bring
// another.
type directory interface {
	Survey(ctx context.Context, r graph.SurveyRequest) (graph.Survey, error)

	UpsertApplication(ctx context.Context, uniqueName string, a graph.NewApplication) (graph.Application, bool, error)
	CreateApplication(ctx context.Context, a graph.NewApplication) (graph.Application, error)
	Application(ctx context.Context, objectID string) (graph.Application, error)
	ApplicationByAppID(ctx context.Context, appID string) (graph.Application, error)
	ApplicationByUniqueName(ctx context.Context, uniqueName string) (graph.Application, error)
	ApplicationsByName(ctx context.Context, name string) ([]graph.Application, error)
	ApplicationsByTag(ctx context.Context, tag string) ([]graph.Application, error)
	SetKeys(ctx context.Context, objectID string, keys []graph.Key) error
	AddKey(ctx context.Context, objectID string, k graph.Key, proof connections.Secret) (graph.Key, error)
	RemoveKey(ctx context.Context, objectID, id string, proof connections.Secret) error
	SetRequired(ctx context.Context, objectID string, r []graph.ResourceAccess) error
	AddPassword(ctx context.Context, objectID, name string, end time.Time) (graph.Password, connections.Secret, error)
	RemovePassword(ctx context.Context, objectID, id string) error
	DeleteApplication(ctx context.Context, objectID string) error
	DeletedApplications(ctx context.Context) ([]graph.Application, error)
	PurgeDeleted(ctx context.Context, objectID string) error
	Owners(ctx context.Context, objectID string) ([]graph.Owner, error)

	CreateServicePrincipal(ctx context.Context, appID string, tags []string) (graph.ServicePrincipal, error)
	ServicePrincipal(ctx context.Context, appID string) (graph.ServicePrincipal, error)
	DeleteServicePrincipal(ctx context.Context, objectID string) error
	DeletedServicePrincipals(ctx context.Context) ([]graph.ServicePrincipal, error)

	Assignments(ctx context.Context, principalID string) ([]graph.Assignment, error)
	Assign(ctx context.Context, wanted []graph.Assignment) []error
	Unassign(ctx context.Context, principalID, assignmentID string) error
}

// The answers to the question what to do about a registration of the same name,
// values of Wish.IfExists.
const (
	ExistsUse  = "use"
	ExistsNew  = "new"
	ExistsFail = "fail"
)

// Wish is what somebody wants to have registered.
type Wish struct {
	Kind       connections.Kind
	Set        Set // of permissions
	Cloud      cloud.Cloud
	AppName    string          // empty: the documented name of the kind
	Connection string          // name of the connection that it is for; only noted
	Type       string          // connections.TypeCertificate, also for "", or connections.TypeClientSecret
	Own        *certs.Identity // the user's own certificate; nil: a new one
	Valid      certs.Validity  // of a new credential; zero: five years, of a secret two
	Longest    bool            // where a policy forbids Valid: take what it allows, without asking
	IfExists   string          // ExistsUse, ExistsNew, ExistsFail; empty is ExistsFail
	Use        string          // client id of the registration to use; needed where several have the name
	// RequiredOnly leaves out the permissions that the catalogue calls optional.
	RequiredOnly bool
}

// secretValidity is the longest life of a client secret that the pages of Entra
// ID offer.
//
// Source: learn.microsoft.com/entra/identity-platform/how-to-add-credentials.
const secretValidity = 24 // months

func (w Wish) name() string {
	if w.AppName != "" {
		return w.AppName
	}
	return AppName(w.Kind)
}

func (w Wish) purpose() Purpose { return Purpose{Kind: w.Kind, Set: w.Set, Secret: w.secret()} }

func (w Wish) secret() bool { return w.Type == connections.TypeClientSecret }

func (w Wish) validity() certs.Validity {
	switch {
	case w.Valid != certs.Validity{}:
		return w.Valid
	case w.secret():
		return certs.Validity{Months: secretValidity}
	default:
		return certs.DefaultValidity()
	}
}

// The tags by which c2conn knows its registrations again.
const (
	tagOurs = "c2conn"
	// tagVisible makes a service principal show among the enterprise applications.
	tagVisible = "WindowsAzureActiveDirectoryIntegratedApp"
)

func tagKind(kind connections.Kind) string { return tagOurs + ":" + string(kind) }

func tagRun(run string) string { return tagOurs + ":run:" + run }
