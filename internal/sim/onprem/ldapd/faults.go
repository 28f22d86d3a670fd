package ldapd

import "fmt"

// Fault is something that goes wrong at the server, by name.
type Fault string

// The faults that a Server knows.
const (
	// FaultHostile puts control characters and terminal escapes into every text that a search gives.
	FaultHostile Fault = "ldap-hostile-entries"
	// FaultSlow lets every search wait for Options.Delay.
	FaultSlow Fault = "ldap-slow"
	// FaultDrop closes the connection in the middle of the answer to a search.
	FaultDrop Fault = "ldap-drops-connection"
	// FaultNoSAN shows Options.NoSAN, a certificate that names its host in the subject alone.
	FaultNoSAN Fault = "ldap-certificate-without-san"
	// FaultNoTLS refuses StartTLS, as a domain controller without any certificate does.
	FaultNoTLS Fault = "ldap-no-tls"
)

// Faults lists the names of all faults.
func Faults() []Fault {
	return []Fault{FaultDrop, FaultHostile, FaultNoSAN, FaultNoTLS, FaultSlow}
}

// SetFault switches a fault on or off. Errors: an unknown name.
func (s *Server) SetFault(fault Fault, on bool) error {
	for _, known := range Faults() {
		if known == fault {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.faults[fault] = on
			return nil
		}
	}
	return fmt.Errorf("ldapd: there is no fault %q", string(fault))
}

func (s *Server) fault(f Fault) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults[f]
}

// hostile is what a malicious directory would write: it sets a terminal's title,
// turns the writing direction and ends a C string.
func hostile(value string) string { return "\x1b]0;owned\x07\x1b[31m" + value + "\u202e\x00\r\nX" }
