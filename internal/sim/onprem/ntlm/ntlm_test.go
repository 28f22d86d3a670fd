package ntlm_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	ntlmssp "github.com/Azure/go-ntlmssp"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/ntlm"
)

const password = "Ex4dmin!Pass"

func directory(t testing.TB) *account.Directory {
	t.Helper()
	d, err := account.New(account.Options{
		Domain: "corp.test", NetBIOS: "CORP",
		Users: []account.User{
			{SAM: "ExAdmin", UPN: "exadmin@corp.test", Password: password},
			{SAM: "alice", UPN: "alice.a@contoso.example", Password: password},
			{SAM: "locked", Password: password, Locked: true},
			{SAM: "disabled", Password: password, Disabled: true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// authenticateExample is the AUTHENTICATE message of MS-NLMP 4.2.4.3: User of Domain
// with the password "Password", server challenge 0123456789abcdef, time 0.
const authenticateExample = "4e544c4d5353500003000000180018006c00000054005400840000000c000c0048000000080008005400000010001000" +
	"5c00000010001000d8000000358288e20501280a0000000f44006f006d00610069006e00550073006500720043004f00" +
	"4d0050005500540045005200" + "86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa" +
	"68cd0ab851e51c96aabc927bebef6a1c" + "01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000" +
	"02000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000" +
	"c5dad2544fc9799094ce1ce90bc9d03e"

func TestExampleOfTheSpecification(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		password string
		good     bool
	}{{"Password", true}, {"password", false}} {
		d, err := account.New(account.Options{
			Domain: "domain.test", NetBIOS: "Domain", Users: []account.User{{SAM: "User", Password: c.password}},
		})
		if err != nil {
			t.Fatal(err)
		}
		a := ntlm.NewAcceptor(ntlm.AcceptorOptions{
			Directory: d, Host: "Server",
			Now:  func() time.Time { return time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC) },
			Rand: bytes.NewReader(unhex(t, "0123456789abcdef")),
		})
		negotiate, err := ntlmssp.NewNegotiateMessage("", "")
		if err != nil {
			t.Fatal(err)
		}
		x, err := a.Challenge(negotiate)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.Message[24:32]; !bytes.Equal(got, unhex(t, "0123456789abcdef")) {
			t.Fatalf("challenge %x", got)
		}
		s, err := x.Authenticate(unhex(t, authenticateExample), nil)
		if (err == nil) != c.good {
			t.Fatalf("password %q: %v", c.password, err)
		}
		if !c.good {
			continue
		}
		// The keys of MS-NLMP 4.2.4.4, with sequence number 0 and a fresh RC4 handle.
		h := hmac.New(md5.New, unhex(t, "4788dc861b4782f35d43fd98fe1a2d39"))
		h.Write(append(make([]byte, 4), "mechanisms"...))
		sum := h.Sum(nil)[:8]
		seal, err := rc4.NewCipher(unhex(t, "59f600973cc4960a25480a7c196e4c58"))
		if err != nil {
			t.Fatal(err)
		}
		seal.XORKeyStream(sum, sum)
		mic := append(append([]byte{1, 0, 0, 0}, sum...), 0, 0, 0, 0)
		if err := s.VerifyMIC([]byte("mechanisms"), mic); err != nil {
			t.Error("signature with the keys of the specification:", err)
		}
		mic[5] ^= 1
		if err := s.VerifyMIC([]byte("mechanisms"), mic); err == nil {
			t.Error("a changed signature was taken")
		}
	}
}

// go-ntlmssp is an independent client.
func TestIndependentClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		user, password, sam string
		reason              account.Reason
	}{
		{`CORP\exadmin`, password, "ExAdmin", 0},
		{`corp\EXADMIN`, password, "ExAdmin", 0},
		{`corp.test\exadmin`, password, "ExAdmin", 0},
		{"exadmin@corp.test", password, "ExAdmin", 0},
		{"alice.a@contoso.example", password, "alice", 0},
		{"alice@corp.test", password, "alice", 0},
		{`OTHER\exadmin`, password, "", account.UnknownUser},
		{"nobody@corp.test", password, "", account.UnknownUser},
		{`CORP\exadmin`, "wrong", "", account.WrongPassword},
		{`CORP\locked`, password, "", account.LockedOut},
		{`CORP\disabled`, password, "", account.AccountDisabled},
		{`CORP\disabled`, "wrong", "", account.WrongPassword},
	} {
		d := directory(t)
		a := ntlm.NewAcceptor(ntlm.AcceptorOptions{Directory: d, Host: "EXCH01"})
		negotiate, err := ntlmssp.NewNegotiateMessage("", "")
		if err != nil {
			t.Fatal(err)
		}
		x, err := a.Challenge(negotiate)
		if err != nil {
			t.Fatal(err)
		}
		m, err := ntlmssp.NewAuthenticateMessage(x.Message, c.user, c.password, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := x.Authenticate(m, nil)
		var refused *account.RefusedError
		if errors.As(err, &refused) != (c.reason != 0) || refused != nil && refused.Reason != c.reason {
			t.Errorf("%s: %v, want reason %d", c.user, err, c.reason)
			continue
		}
		if s != nil && s.User.SAM != c.sam {
			t.Errorf("%s is %s, want %s", c.user, s.User.SAM, c.sam)
		}
		want := account.Tally{Succeeded: 1}
		if c.reason != 0 {
			want = account.Tally{Failed: 1}
		}
		if c.reason == account.WrongPassword {
			want.WrongPasswords = 1
		}
		if got := d.Tally(account.NTLM); got != want {
			t.Errorf("%s: counted %+v, want %+v", c.user, got, want)
		}
		if _, err := x.Authenticate(m, nil); err == nil || d.Tally(account.NTLM) != want {
			t.Errorf("%s: the same answer was taken, or counted, twice", c.user)
		}
	}
}

// answer is a client of our own: it does what go-ntlmssp cannot.
type answer struct {
	mic, breakMIC, noFlag bool
	bindings              []byte
	target                string
	off                   time.Duration
	anonymous, v1         bool
}

func (a answer) message(t testing.TB, negotiate, challenge []byte, user, domain, password string) []byte {
	t.Helper()
	utf := func(s string) []byte {
		var b []byte
		for _, r := range s {
			b = append(b, byte(r), 0)
		}
		return b
	}
	mac := func(key []byte, parts ...[]byte) []byte {
		h := hmac.New(md5.New, key)
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	n, off := int(binary.LittleEndian.Uint16(challenge[40:])), int(binary.LittleEndian.Uint32(challenge[44:]))
	info := bytes.Clone(challenge[off : off+n-4])
	pair := func(id uint16, v []byte) {
		info = binary.LittleEndian.AppendUint16(info, id)
		info = append(binary.LittleEndian.AppendUint16(info, uint16(len(v))), v...)
	}
	if a.mic && !a.noFlag {
		pair(6, []byte{2, 0, 0, 0})
	}
	if a.bindings != nil {
		pair(10, a.bindings)
	}
	if a.target != "" {
		pair(9, utf(a.target))
	}
	pair(0, nil)
	when := uint64(time.Now().Add(a.off).Unix()+11_644_473_600) * 10_000_000
	blob := append([]byte{1, 1, 0, 0, 0, 0, 0, 0}, binary.LittleEndian.AppendUint64(nil, when)...)
	blob = append(blob, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0)
	blob = append(append(blob, info...), 0, 0, 0, 0)
	d, err := account.New(account.Options{Domain: "x", NetBIOS: "x", Users: []account.User{{SAM: "x", Password: password}}})
	if err != nil {
		t.Fatal(err)
	}
	var hash []byte
	if _, err := d.SignIn(account.NTLM, "x", func(k account.Keys) error { hash = k.NTHash(); return nil }); err != nil {
		t.Fatal(err)
	}
	v2 := mac(hash, utf(strings.ToUpper(user)+domain))
	proof := mac(v2, challenge[24:32], blob)
	nt := append(bytes.Clone(proof), blob...)
	switch {
	case a.v1:
		nt = nt[:24]
	case a.anonymous:
		nt, user, domain = nil, "", ""
	}
	m := append([]byte("NTLMSSP\x00"), 3, 0, 0, 0)
	payload := []byte{}
	const fixed = 88
	for _, f := range [][]byte{make([]byte, 24), nt, utf(domain), utf(user), nil, nil} {
		m = binary.LittleEndian.AppendUint16(m, uint16(len(f)))
		m = binary.LittleEndian.AppendUint16(m, uint16(len(f)))
		m = binary.LittleEndian.AppendUint32(m, uint32(fixed+len(payload)))
		payload = append(payload, f...)
	}
	m = binary.LittleEndian.AppendUint32(m, 0x00088201|1<<25)
	m = append(m, make([]byte, 24)...)
	m = append(m, payload...)
	if a.mic {
		copy(m[72:], mac(mac(v2, proof), negotiate, challenge, m))
	}
	if a.breakMIC {
		m[72] ^= 1
	}
	return m
}

func TestIntegrityAndBindings(t *testing.T) {
	t.Parallel()
	right, other := bytes.Repeat([]byte{7}, 16), bytes.Repeat([]byte{8}, 16)
	const spn = "HTTP/exch01.corp.test"
	for _, c := range []struct {
		name    string
		answer  answer
		mode    binding.Mode
		channel []byte // the server's
		want    error
	}{
		{name: "MIC", answer: answer{mic: true}},
		{name: "no MIC", answer: answer{}},
		{name: "wrong MIC", answer: answer{mic: true, breakMIC: true}, want: ntlm.ErrMIC},
		{name: "MIC that is not announced", answer: answer{mic: true, breakMIC: true, noFlag: true}},
		{name: "NTLMv1", answer: answer{v1: true}, want: ntlm.ErrNTLMv1},
		{name: "anonymous", answer: answer{anonymous: true}, want: ntlm.ErrAnonymous},
		{name: "35 hours off", answer: answer{off: 35 * time.Hour}},
		{name: "37 hours ahead", answer: answer{off: 37 * time.Hour}, want: ntlm.ErrOld},
		{name: "37 hours behind", answer: answer{off: -37 * time.Hour}, want: ntlm.ErrOld},
		{name: "none, wrong binding", answer: answer{mic: true, bindings: other}, channel: right},
		{name: "allow, absent", answer: answer{mic: true}, mode: binding.Allow, channel: right},
		{name: "allow, zeros", answer: answer{mic: true, bindings: make([]byte, 16)}, mode: binding.Allow, channel: right},
		{name: "allow, wrong", answer: answer{mic: true, bindings: other}, mode: binding.Allow, channel: right, want: binding.ErrWrong},
		{name: "allow, right", answer: answer{mic: true, bindings: right}, mode: binding.Allow, channel: right},
		{name: "require, absent", answer: answer{mic: true}, mode: binding.Require, channel: right, want: binding.ErrAbsent},
		{name: "require, zeros", answer: answer{mic: true, bindings: make([]byte, 16)}, mode: binding.Require, channel: right, want: binding.ErrAbsent},
		{name: "require, wrong", answer: answer{mic: true, bindings: other}, mode: binding.Require, channel: right, want: binding.ErrWrong},
		{name: "require, right", answer: answer{mic: true, bindings: right}, mode: binding.Require, channel: right},
		{name: "require, plain http, no target", answer: answer{mic: true}, mode: binding.Require, want: ntlm.ErrTarget},
		{name: "require, plain http, target", answer: answer{mic: true, target: spn}, mode: binding.Require},
		{name: "allow, plain http, no target", answer: answer{mic: true}, mode: binding.Allow},
		{name: "allow, plain http, other target", answer: answer{mic: true, target: "HTTP/evil.test"}, mode: binding.Allow, want: ntlm.ErrTarget},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := directory(t)
			a := ntlm.NewAcceptor(ntlm.AcceptorOptions{Directory: d, Host: "EXCH01", SPNs: []string{spn}, ExtendedProtection: c.mode})
			negotiate, err := ntlmssp.NewNegotiateMessage("", "")
			if err != nil {
				t.Fatal(err)
			}
			x, err := a.Challenge(negotiate)
			if err != nil {
				t.Fatal(err)
			}
			_, err = x.Authenticate(c.answer.message(t, negotiate, x.Message, "exadmin", "CORP", password), c.channel)
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			tally := d.Tally(account.NTLM)
			if tally.WrongPasswords != 0 || tally.Succeeded+tally.Failed != 1 || (tally.Failed == 1) != (c.want != nil) {
				t.Errorf("counted %+v", tally)
			}
		})
	}
}

func TestMalformedMessagesCountNothing(t *testing.T) {
	t.Parallel()
	d := directory(t)
	a := ntlm.NewAcceptor(ntlm.AcceptorOptions{Directory: d, Host: "EXCH01"})
	negotiate, err := ntlmssp.NewNegotiateMessage("", "")
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(negotiate) {
		if _, err := a.Challenge(negotiate[:min(n, 15)]); err == nil {
			t.Fatalf("a NEGOTIATE message of %d bytes was taken", n)
		}
	}
	x, err := a.Challenge(negotiate)
	if err != nil {
		t.Fatal(err)
	}
	whole := answer{}.message(t, negotiate, x.Message, "exadmin", "CORP", password)
	for n := 0; n < len(whole)-13; n += 13 { // the user's name is at the end
		y, err := a.Challenge(negotiate)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := y.Authenticate(whole[:n], nil); err == nil {
			t.Fatalf("an AUTHENTICATE message of %d bytes was taken", n)
		}
	}
	if d.FailedSignIns() != 0 {
		t.Errorf("%d failed sign-ins", d.FailedSignIns())
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzAuthenticate(f *testing.F) {
	d := directory(f)
	a := ntlm.NewAcceptor(ntlm.AcceptorOptions{Directory: d, Host: "EXCH01", ExtendedProtection: binding.Allow})
	negotiate, err := ntlmssp.NewNegotiateMessage("", "")
	if err != nil {
		f.Fatal(err)
	}
	x, err := a.Challenge(negotiate)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(negotiate, unhex(f, authenticateExample))
	f.Add(negotiate, answer{mic: true, bindings: make([]byte, 16), target: "x"}.message(f, negotiate, x.Message, "exadmin", "CORP", password))
	f.Add(negotiate, answer{anonymous: true}.message(f, negotiate, x.Message, "", "", ""))
	f.Fuzz(func(t *testing.T, negotiate, message []byte) {
		x, err := a.Challenge(negotiate)
		if err != nil {
			return
		}
		if s, err := x.Authenticate(message, nil); err == nil {
			t.Errorf("%s signed in without knowing the challenge", s.User.SAM)
		}
	})
}
