//go:build !windows

package certs

import (
	"time"

	"github.com/c2conn/c2conn/connections"
)

// Personal gives the personal certificate store: files under dir/certificates,
// the private keys as secrets of s. It touches nothing until it is used.
func Personal(s *connections.Store, dir string, now func() time.Time) Store {
	return NewFiles(s, dir, now)
}
