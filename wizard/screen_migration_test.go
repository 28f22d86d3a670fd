package wizard

import (
	"testing"

	"github.com/c2conn/c2conn/internal/task"
)

// Scenes of the two ends of a migration, with both ways of registering.

// targetResults are what the checks find where the account does not own the public
// folders.
func targetResults() []task.Result {
	list := fine()
	list[3] = pass("permissions", "Permissions", "6 of 6, none superfluous")
	list[6] = list[7]
	list[7] = list[8]
	return append(list[:8],
		task.Result{ID: "public-folders", Title: "Public folders", Status: task.Warn, Finding: "admin@contoso.com is not Owner of the root"},
		pass("mailbox-unique", "Mailbox used once", "no other target uses it"))
}

var migrationScenes = []scene{
	{"source-cloud", func(t *testing.T) *driver { return kindDriver(t, MigrationSource(), fine()) }},
	{"source-registration", func(t *testing.T) *driver { return kindDriver(t, MigrationSource(), fine()).next() }},
	{"source-details", func(t *testing.T) *driver { return kindDriver(t, MigrationSource(), fine()).next().keys("down").next() }},
	{"source-plan", func(t *testing.T) *driver {
		return kindDriver(t, MigrationSource(), fine()).next().next().next().next()
	}},
	{"source-passed", func(t *testing.T) *driver {
		return kindDriver(t, MigrationSource(), fine()).next().keys("down").byHand().next().next().keys("enter")
	}},
	{"target-cloud", func(t *testing.T) *driver { return kindDriver(t, MigrationTarget(), targetResults()) }},
	{"target-registration", func(t *testing.T) *driver { return kindDriver(t, MigrationTarget(), targetResults()).next() }},
	{"target-details-taken", func(t *testing.T) *driver {
		return kindDriver(t, MigrationTarget(), targetResults()).next().keys("down").next().typed("taken@contoso.com").keys("tab")
	}},
	{"target-application", func(t *testing.T) *driver {
		return kindDriver(t, MigrationTarget(), targetResults()).next().next().next()
	}},
	{"target-plan", func(t *testing.T) *driver {
		return kindDriver(t, MigrationTarget(), targetResults()).next().next().next().next()
	}},
	{"target-passed", func(t *testing.T) *driver {
		return kindDriver(t, MigrationTarget(), targetResults()).next().keys("down").byHand().next().next().keys("enter", "end")
	}},
}

func TestPlainMigration(t *testing.T) {
	t.Parallel()
	byHand := []string{testClientID, "contoso.onmicrosoft.com", "1", testThumb, "", "", "1"}
	plainKind(t, "source", MigrationSource(), fine(), append([]string{"", "2", "admin@contoso.com"}, byHand...)...)
	plainKind(t, "target", MigrationTarget(), targetResults(), append([]string{"", "2", "taken@contoso.com", "admin@contoso.com"}, byHand...)...)
}
