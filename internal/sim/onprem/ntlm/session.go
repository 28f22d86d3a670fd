package ntlm

import (
	"bytes"
	"crypto/md5"
	"crypto/rc4" //nolint:gosec // NTLM seals its session key with it (MS-NLMP 3.1.5.1.2)
	"encoding/binary"
	"errors"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
)

// Session is a client that has signed in.
type Session struct {
	User account.User

	flags uint32
	key   []byte // ExportedSessionKey
}

// MIC signs a message of the server with sequence number 0, as SPNEGO signs its list
// of mechanisms (MS-NLMP 3.4.4.2, MS-SPNG 3.3.5.1).
func (s *Session) MIC(message []byte) ([]byte, error) { return s.sign(message, "server-to-client") }

// VerifyMIC checks the client's signature of a message with sequence number 0.
func (s *Session) VerifyMIC(message, mic []byte) error {
	want, err := s.sign(message, "client-to-server")
	if err != nil {
		return err
	}
	if !bytes.Equal(mic, want) {
		return ErrMIC
	}
	return nil
}

func (s *Session) sign(message []byte, direction string) ([]byte, error) {
	if s.flags&flagExtended == 0 {
		return nil, errors.New("ntlm: signing needs extended session security")
	}
	var zero [4]byte
	sum := mac(s.constant(s.key, direction, "signing"), zero[:], message)[:8]
	if s.flags&flagKeyExchange != 0 {
		key := s.key
		switch { // MS-NLMP 3.4.5.3
		case s.flags&flag128 != 0:
		case s.flags&flag56 != 0:
			key = key[:7]
		default:
			key = key[:5]
		}
		c, err := rc4.NewCipher(s.constant(key, direction, "sealing"))
		if err != nil {
			return nil, err
		}
		c.XORKeyStream(sum, sum)
	}
	b := binary.LittleEndian.AppendUint32(nil, 1)
	return append(append(b, sum...), zero[:]...), nil
}

// constant makes a key of MS-NLMP 3.4.5.2 and 3.4.5.3.
func (s *Session) constant(key []byte, direction, use string) []byte {
	sum := md5.Sum(append(bytes.Clone(key), "session key to "+direction+" "+use+" key magic constant\x00"...))
	return sum[:]
}
