package verify

import (
	"context"
	"fmt"
	"strings"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

// permissions holds the roles in the tokens against the catalogue, also those on
// services that the connection does not use: all of them are superfluous. A service
// whose token did not come is left out: its token check tells why.
//
// Missing permissions fail, with one exception: where nothing is missing but
// full_access_as_app and EWS lets the application in all the same, the right
// comes from RBAC for Applications, which no token shows; that is a warning.
// Superfluous permissions are told in the finding, with what each allows in the
// details; only those that can change, send or manage things are a warning.
func (s *subject) permissions(ctx context.Context, _ need) task.Result {
	roles := s.roles()
	if len(roles) == 0 {
		return task.Result{Status: task.Skip, Finding: "not run: no token to look into"}
	}
	s.elsewhere.addTo(ctx, roles)
	c := registration.Compare(s.purpose, nil, roles)
	if len(c.Superfluous) > 0 && s.o.Saved != nil {
		// Where they cannot be read, too much is called superfluous rather than too little.
		if saved, err := s.o.Saved(ctx); err == nil {
			c = registration.Compare(s.purpose, registration.Also(saved, s.target.Connection), roles)
		}
	}
	r := s.judgePermissions(c)
	for _, e := range c.Superfluous {
		r.Details = append(r.Details, "Superfluous: "+advice.RoleLine(superfluous(e)))
	}
	return r
}

func superfluous(e registration.Extra) advice.Role {
	return advice.Role{Service: e.Resource.Title(), Name: e.Role, Allows: e.Allows, Writes: e.Writes}
}

func (s *subject) judgePermissions(c registration.Comparison) task.Result {
	if len(c.Missing) > 0 {
		return s.missing(c)
	}
	finding := fmt.Sprintf("%d of %d", c.Met(), c.Wanted())
	if n := len(c.Unknown); n > 0 {
		finding += fmt.Sprintf(", %d not known without a token", n)
	}
	if len(c.Superfluous) == 0 {
		return pass(finding + ", none superfluous")
	}
	var writing []advice.Role
	var names []string
	for _, e := range c.Superfluous {
		names = append(names, e.Role)
		if e.Writes {
			writing = append(writing, superfluous(e))
		}
	}
	finding += ", superfluous: " + strings.Join(names, ", ")
	if len(writing) == 0 {
		return pass(finding)
	}
	return s.warn(finding, &advice.SuperfluousRolesError{Roles: writing})
}

func (s *subject) missing(c registration.Comparison) task.Result {
	err := &advice.MissingRolesError{None: c.Met() == 0 && len(c.Superfluous) == 0 && len(c.Unknown) == 0}
	var names []string
	onlyEWS := true
	for _, p := range c.Missing {
		err.Missing = append(err.Missing, advice.Role{Service: p.Resource.Title(), Name: p.Role, Why: p.Why, Writes: p.Writes})
		names = append(names, p.Role)
		onlyEWS = onlyEWS && p.Resource == registration.Exchange
	}
	if onlyEWS && s.ewsWorks() {
		err.EWSWork = true
		return s.warn("full_access_as_app not granted, yet EWS works", err)
	}
	if err.None {
		return s.fail("none granted: the admin consent is missing", err)
	}
	return s.fail("missing "+strings.Join(names, ", "), err)
}

// ewsWorks tells whether the EWS check, which has ended by now, got in.
func (s *subject) ewsWorks() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ews
}
