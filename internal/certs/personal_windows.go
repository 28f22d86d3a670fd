package certs

import (
	"time"

	"github.com/c2conn/c2conn/connections"
)

// Personal gives the personal certificate store of the Windows user
// (CurrentUser\My); the arguments serve the stores of other systems.
func Personal(*connections.Store, string, func() time.Time) Store { return windowsStore{} }
