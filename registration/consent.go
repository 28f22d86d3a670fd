package registration

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
)

func (q PlannedPermission) permission(purpose Purpose) Permission {
	for _, p := range Catalogue(purpose) {
		if p.Resource == q.Resource && p.Role == q.Role {
			p.RoleID = q.ID
			return p
		}
	}
	return Permission{Kind: purpose.Kind, Resource: q.Resource, ResourceAppID: q.ResourceAppID, Role: q.Role, RoleID: q.ID, Allows: q.Allows, Writes: q.Writes, Why: q.Why, Required: q.Required}
}

func roleOf(p Permission) advice.Role {
	return advice.Role{Service: p.Resource.Title(), Name: p.Role, Why: p.Why, Writes: p.Writes}
}

// doConsent grants the permissions that are not granted yet. Those that the
// account may not grant are left to somebody else.
func (w *work) doConsent(ctx context.Context) task.Result {
	ctx = w.replicated(ctx)
	defer w.release() // the last change in the tenant
	principal := w.j.Principal.ObjectID
	var have []graph.Assignment
	if w.plan.Action == ActionUse || !w.fresh {
		var err error
		if have, err = w.admin.Graph.Assignments(ctx, principal); err != nil {
			return failed(w.refusal(ctx, "list the granted permissions", err))
		}
	}
	var ask []graph.Assignment
	var asked []Permission
	for _, q := range w.plan.Permissions {
		p := q.permission(w.wish.purpose())
		if isGranted(have, q.ResourceID, q.ID) {
			w.granted = append(w.granted, p)
			continue
		}
		ask = append(ask, graph.Assignment{PrincipalID: principal, ResourceID: q.ResourceID, RoleID: q.ID})
		asked = append(asked, p)
	}
	if len(ask) == 0 {
		return task.Result{Status: task.Pass, Finding: "all granted before"}
	}
	var hard, refusal error
	var refused []assignedNote
	err := w.change(stepConsent, "grant "+count(len(ask), "permission"),
		func(j *journal) {
			for _, a := range ask {
				if n := (assignedNote{a.ResourceID, a.RoleID}); !slices.Contains(j.Assigned, n) {
					j.Assigned = append(j.Assigned, n)
				}
			}
		},
		func() error {
			for i, err := range w.admin.Graph.Assign(ctx, ask) {
				switch {
				case err == nil:
					w.granted = append(w.granted, asked[i])
				case denied(err):
					refusal, refused = err, append(refused, assignedNote{ask[i].ResourceID, ask[i].RoleID})
					w.missing = append(w.missing, asked[i])
				case hard == nil:
					hard = fmt.Errorf("grant %s: %w", asked[i].Role, err)
				}
			}
			w.j.Assigned = slices.DeleteFunc(w.j.Assigned, func(n assignedNote) bool { return slices.Contains(refused, n) })
			return hard
		}, nil)
	if err == nil {
		err = w.flush("granted") // what follows may take minutes
	}
	switch {
	case err != nil:
		return failed(w.refusal(ctx, "grant the permissions", err))
	case len(w.missing) > 0:
		return w.waitingForConsent(refusal)
	}
	return task.Result{Status: task.Pass, Finding: count(len(w.granted), "permission") + " granted"}
}

func (w *work) waitingForConsent(refusal error) task.Result {
	e := &advice.ConsentNeededError{Account: w.plan.Account, Link: w.base.Cloud.AdminConsent(w.plan.Tenant.ID, w.j.Application.AppID), Err: refusal}
	for _, p := range w.missing {
		e.Roles = append(e.Roles, roleOf(p))
	}
	return task.Result{Status: task.Warn, Finding: fmt.Sprintf("%d of %d granted; somebody else has to consent", len(w.granted), len(w.granted)+len(w.missing)), Err: e}
}

func isGranted(have []graph.Assignment, resourceID, roleID string) bool {
	return slices.ContainsFunc(have, func(a graph.Assignment) bool {
		return strings.EqualFold(a.ResourceID, resourceID) && strings.EqualFold(a.RoleID, roleID)
	})
}

// Grant consents, as whoever signed in, to the permissions that an application
// needs for its purpose: those that the catalogue requires, and of the optional ones
// those that the application asks for. granted are those that this call granted,
// without those of before; missing those that the account may not grant.
//
// Errors: *graph.Error, *advice.NoResourceError.
func Grant(ctx context.Context, admin Admin, p Purpose, clientID string) (granted, missing []Permission, err error) {
	var resources []string
	wanted := Catalogue(p)
	for _, p := range wanted {
		if !slices.Contains(resources, p.ResourceAppID) {
			resources = append(resources, p.ResourceAppID)
		}
	}
	s, err := admin.Graph.Survey(ctx, graph.SurveyRequest{Resources: resources})
	if err != nil {
		return nil, nil, err
	}
	app, err := admin.Graph.ApplicationByAppID(ctx, clientID)
	if err != nil {
		return nil, nil, err
	}
	principal, err := admin.Graph.ServicePrincipal(ctx, clientID)
	if notFound(err) {
		principal, err = admin.Graph.CreateServicePrincipal(ctx, clientID, principalTags())
	}
	if err != nil {
		return nil, nil, err
	}
	ctx = graph.Fresh(ctx, DefaultConsistency)
	have, err := admin.Graph.Assignments(ctx, principal.ObjectID)
	if err != nil {
		return nil, nil, err
	}
	var ask []graph.Assignment
	var asked []Permission
	for _, p := range wanted {
		service, ok := s.Resources[p.ResourceAppID]
		role, found := findRole(service, p.Role)
		switch {
		case !p.Required && (!ok || !asksFor(app, p, role)):
			continue
		case !ok:
			return nil, nil, &advice.NoResourceError{Resource: p.Resource.Title()}
		case !found:
			continue // this cloud does not have it
		}
		p.RoleID = role.ID
		if isGranted(have, service.ObjectID, role.ID) {
			continue
		}
		ask = append(ask, graph.Assignment{PrincipalID: principal.ObjectID, ResourceID: service.ObjectID, RoleID: role.ID})
		asked = append(asked, p)
	}
	for i, e := range admin.Graph.Assign(ctx, ask) {
		switch {
		case e == nil:
			granted = append(granted, asked[i])
		case denied(e):
			missing = append(missing, asked[i])
		case err == nil:
			err = fmt.Errorf("grant %s: %w", asked[i].Role, e)
		}
	}
	return granted, missing, err
}

// asksFor tells whether an application asks for a permission.
func asksFor(a graph.Application, p Permission, role graph.AppRole) bool {
	return slices.ContainsFunc(a.Required, func(r graph.ResourceAccess) bool {
		return strings.EqualFold(r.ResourceAppID, p.ResourceAppID) && slices.ContainsFunc(r.Roles, func(id string) bool {
			return strings.EqualFold(id, role.ID) || strings.EqualFold(id, p.RoleID)
		})
	})
}
