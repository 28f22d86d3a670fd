package verify

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/task"
)

// publicFolders asks what the dedicated mailbox may do at the root of the public
// folders. It never fails: who migrates no public folders needs none of it.
func (s *subject) publicFolders(ctx context.Context, takes need) task.Result {
	client, err := s.ewsClient()
	if err != nil {
		return s.fail("", err)
	}
	rights, _, err := client.PublicFolders(ctx, s.target.Connection.Account)
	if e, ok := errors.AsType[*ews.Error](err); ok && (e.Code == "ErrorAccessDenied" || e.Code == "ErrorFolderNotFound") {
		err = &advice.PublicFolderRightsError{Err: err} // what somebody sees who has no rights there
	}
	switch {
	case err != nil:
		return s.fail("", err, takes)
	case !rights.Known:
		return s.warn("", &advice.PublicFolderRightsError{})
	case rights.Owner:
		return pass("owner of the root folder")
	default:
		return s.warn("", &advice.PublicFolderRightsError{Known: true, Level: rights.Level})
	}
}

// warnOnly makes a failure a warning.
func (s *subject) warnOnly(r task.Result) task.Result {
	if r.Status == task.Fail {
		r.Status = task.Warn
	}
	return r
}

// mailboxUnique looks whether another saved migration target uses the mailbox, by
// any of its addresses or by the id of its user: two targets that write into one
// mailbox do each other harm.
func (s *subject) mailboxUnique(ctx context.Context, _ need) task.Result {
	if s.o.Saved == nil {
		return task.Result{Status: task.Skip, Finding: "not compared with other connections"}
	}
	others, err := s.o.Saved(ctx)
	if err != nil {
		return s.warn("the saved connections cannot be read", err)
	}
	own := s.target.Connection
	s.mu.Lock()
	id, addresses := cmp.Or(s.found.AccountID, own.AccountID), append([]string{own.Account}, s.addresses...)
	s.mu.Unlock()
	for _, entry := range others {
		other := entry.Connection
		if entry.Err != nil || other.Kind != connections.MigrationTarget || other.ID == own.ID {
			continue
		}
		same := id != "" && strings.EqualFold(id, other.AccountID)
		if same || slices.ContainsFunc(addresses, func(a string) bool { return strings.EqualFold(a, other.Account) }) {
			return s.fail("", &connections.AccountTakenError{Account: other.Account, By: other.Name})
		}
	}
	if len(addresses) > 1 {
		return pass("by no other migration target, under any address")
	}
	return pass("by no other migration target")
}
