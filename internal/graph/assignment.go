package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	kiota "github.com/microsoft/kiota-abstractions-go"
)

// Assignment is a permission (app role) of a resource granted to a service
// principal: what admin consent writes.
//
// Source: learn.microsoft.com/graph/api/resources/approleassignment.
type Assignment struct {
	ID          string // of the assignment; not needed to make one
	PrincipalID string // service principal that may
	ResourceID  string // service principal of the API
	RoleID      string
}

// Assignments lists what a service principal was granted.
//
// Source: learn.microsoft.com/graph/api/serviceprincipal-list-approleassignments.
func (c *Client) Assignments(ctx context.Context, principalID string) ([]Assignment, error) {
	return list[assignmentJSON](ctx, c, operation{
		name: "list granted permissions", object: newPrincipal,
		request: func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
			return c.principals(a).ByServicePrincipalId(principalID).AppRoleAssignments().ToGetRequestInformation(ctx, nil)
		},
	})
}

// Unassign takes a granted permission back. That it is gone already is no error.
//
// Source: learn.microsoft.com/graph/api/serviceprincipal-delete-approleassignments.
func (c *Client) Unassign(ctx context.Context, principalID, assignmentID string) error {
	return c.delete(ctx, operation{
		name: "take a permission back", object: "the new permission",
		request: func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
			return c.principals(a).ByServicePrincipalId(principalID).AppRoleAssignments().ByAppRoleAssignmentId(assignmentID).ToDeleteRequestInformation(ctx, nil)
		},
	})
}

// Assign grants permissions, as admin consent does. The answer has an error for
// each of wanted, in its order; nil means granted now or before. One that is
// refused does not keep the others from being granted.
//
// Up to 20 go in one $batch, chained so that the tenant sees one write at a time.
//
// Source: learn.microsoft.com/graph/api/serviceprincipal-post-approleassignedto.
func (c *Client) Assign(ctx context.Context, wanted []Assignment) []error {
	errs := make([]error, len(wanted))
	for from := 0; from < len(wanted); from += mostParts {
		to := min(from+mostParts, len(wanted))
		c.assign(ctx, wanted[from:to], errs[from:to])
	}
	return errs
}

// assign grants what fits in one batch. Each round asks for what the one before
// left open; it ends because each settles at least one, has waited, or is the
// last, which asks one by one.
func (c *Client) assign(ctx context.Context, wanted []Assignment, errs []error) {
	pending, ops := make([]int, len(wanted)), make([]operation, len(wanted))
	for i, w := range wanted {
		pending[i], ops[i] = i, c.assignment(w)
	}
	p := c.patience(ctx)
	for alone := false; len(pending) > 0; {
		if alone || len(pending) == 1 {
			for _, i := range pending {
				errs[i] = granted(c.ask(ctx, ops[i]))
			}
			return
		}
		batch := make([]operation, len(pending))
		for k, i := range pending {
			batch[k] = ops[i]
		}
		answers, err := c.batch(ctx, "grant permissions", batch, true)
		if err != nil {
			if alone = refused(err); alone {
				continue
			}
			for _, i := range pending {
				errs[i] = err
			}
			return
		}
		var again, blocked []int // may be asked again after a wait; not looked at because of the one before
		var why *Error
		for k, i := range pending {
			errs[i] = granted(answers[k])
			e, _ := errors.AsType[*Error](errs[i])
			switch {
			case e == nil:
			case e.Status == http.StatusFailedDependency:
				blocked = append(blocked, i)
			case e.Status == http.StatusUnauthorized, errors.Is(e, errNoPart):
				blocked, alone = append(blocked, i), true
			case concurrent(e), throttled(e), p.limit > 0 && replicating(e):
				if again = append(again, i); why == nil {
					why = e
				}
			}
		}
		settled := len(again)+len(blocked) < len(pending)
		if settled {
			p.busied, p.waited = 0, 0 // each part has its own tries
		}
		if why != nil {
			if p.wait(ctx, newPrincipal, why) || throttled(why) && !concurrent(why) && p.busy(ctx, fmt.Sprintf("%s is busy (%d)", service, why.Status), why.RetryAfter) {
				blocked = merge(pending, again, blocked)
			} else {
				settled = true // with the error that they have
			}
		}
		pending, alone = blocked, alone || !settled && why == nil
	}
}

// merge returns those of all that are in a or b, in all's order.
func merge(all, a, b []int) []int {
	var out []int
	for _, i := range all {
		if slices.Contains(a, i) || slices.Contains(b, i) {
			out = append(out, i)
		}
	}
	return out
}

// granted is err, unless it says that the permission was granted before.
func granted(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && (e.Status == http.StatusBadRequest || e.Status == http.StatusConflict) &&
		e.Says("permission being assigned already exists") {
		return nil
	}
	return err
}

func (c *Client) assignment(w Assignment) operation {
	body := map[string]string{"principalId": w.PrincipalID, "resourceId": w.ResourceID, "appRoleId": w.RoleID}
	return operation{
		name: "grant a permission", object: newPrincipal, effect: rewrites,
		request: func(_ context.Context, a adapter) (*kiota.RequestInformation, error) {
			return withBody(kiota.POST, c.principals(a).ByServicePrincipalId(w.ResourceID).AppRoleAssignedTo().BaseRequestBuilder, body)
		},
	}
}

type assignmentJSON struct {
	ID          text `json:"id"`
	PrincipalID text `json:"principalId"`
	ResourceID  text `json:"resourceId"`
	RoleID      text `json:"appRoleId"`
}

func (j assignmentJSON) plain() (Assignment, bool) {
	return Assignment{ID: j.ID.clean(128), PrincipalID: j.PrincipalID.clean(64), ResourceID: j.ResourceID.clean(64), RoleID: j.RoleID.clean(64)},
		j.ID != "" && j.RoleID != ""
}
