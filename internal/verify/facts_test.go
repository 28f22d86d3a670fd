package verify_test

import (
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/verify"
)

// What automatic registration has made will be saved, so it can be verified by its
// name; for a while servers of the tenant may not know it.
func TestFactsOfTheRegistered(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		what, mode, id string
		age            time.Duration
		state, name    string
		registered     bool
	}{
		{"made now", connections.ModeAutomatic, "", 0, "", "it", true},
		{"made now, waits", connections.ModeAutomatic, "", 0, connections.StateWaiting, "it", true},
		{"saved now", connections.ModeAutomatic, "01ARZ3NDEKTSV4RRFFQ69G5FAV", time.Minute, connections.StateUnverified, "it", true},
		{"saved long ago", connections.ModeAutomatic, "01ARZ3NDEKTSV4RRFFQ69G5FAV", 48 * time.Hour, connections.StateVerified, "it", false},
		{"by hand, not saved", connections.ModeManual, "", 0, "", "", false},
		{"by hand, saved", connections.ModeManual, "01ARZ3NDEKTSV4RRFFQ69G5FAV", time.Minute, "", "it", false},
	} {
		f := verify.FactsOf(connections.Connection{
			Name: "it", ID: c.id, Created: now.Add(-c.age), Registration: connections.Registration{Mode: c.mode}, Verification: connections.Verification{State: c.state},
		}, cloud.Cloud{}, now)
		if f.Connection != c.name || f.Registered != c.registered || f.Waiting != (c.state == connections.StateWaiting) {
			t.Errorf("%s: %+v", c.what, f)
		}
	}
}
