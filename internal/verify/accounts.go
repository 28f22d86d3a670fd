package verify

import (
	"slices"
	"sync"
)

// Accounts are those of connections to servers. Those that sign in alike share what is
// known of their password: a wrong password is found out once, not once for each of them.
// It may be used by several goroutines.
type Accounts struct {
	mu   sync.Mutex
	list []*Server // one for each account
}

// Share returns s with the account of an earlier one that signs in alike. What counts is
// the password itself, because each connection keeps its own copy in the store.
func (a *Accounts) Share(s *Server) *Server {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, known := range a.list {
		if known.Account.Alike(s.Account) {
			return s.WithAccountOf(known)
		}
	}
	a.list = append(a.list, s)
	return s
}

// Forget lets passwords be tried again: whoever asks for that may have unlocked the account
// meanwhile. Those that are wrong are not: each try would count against the account.
func (a *Accounts) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = slices.DeleteFunc(a.list, func(s *Server) bool { return !s.Account.Refused() })
}
