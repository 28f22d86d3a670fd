package verify

import (
	"context"
	"fmt"
	"strings"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

// permissions holds the roles in both tokens against the catalogue. A service
// whose token did not come is left out: its token check tells why.
//
// Missing permissions fail, with one exception: where nothing is missing but
// full_access_as_app and EWS lets the application in all the same, the right
// comes from RBAC for Applications, which no token shows; that is a warning.
// Superfluous permissions are told in the finding; only those that can change,
// send or manage things are a warning.
func (s *subject) permissions(context.Context) task.Result {
	roles := s.roles()
	if len(roles) == 0 {
		return task.Result{Status: task.Skip, Finding: "not run: no token to look into"}
	}
	c := registration.Compare(s.target.Connection.Kind, roles)
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
	var powerful []advice.Role
	var names []string
	for _, e := range c.Superfluous {
		names = append(names, e.Role)
		if e.Powerful {
			powerful = append(powerful, advice.Role{Service: e.Resource.Title(), Name: e.Role})
		}
	}
	finding += ", superfluous: " + strings.Join(names, ", ")
	if len(powerful) == 0 {
		return pass(finding)
	}
	return s.warn(finding, &advice.SuperfluousRolesError{Roles: powerful})
}

func (s *subject) missing(c registration.Comparison) task.Result {
	err := &advice.MissingRolesError{None: c.Met() == 0 && len(c.Superfluous) == 0 && len(c.Unknown) == 0}
	var names []string
	onlyEWS := true
	for _, p := range c.Missing {
		err.Missing = append(err.Missing, advice.Role{Service: p.Resource.Title(), Name: p.Role, Why: p.Why})
		names = append(names, p.Role)
		onlyEWS = onlyEWS && p.Resource == registration.Exchange
	}
	if onlyEWS && s.ewsWorks() {
		err.EWSWork = true
		return s.warn("full_access_as_app not granted, yet EWS works", err)
	}
	if err.None {
		return s.fail("none granted: the admin consent is missing", err, "")
	}
	return s.fail("missing "+strings.Join(names, ", "), err, "")
}

// ewsWorks tells whether the EWS check, which has ended by now, got in.
func (s *subject) ewsWorks() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ews
}
