package krb_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/kdc"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
)

const (
	spn      = "HTTP/exch01.corp.test"
	password = "Ex4dmin!Pass"
	all      = krb.FlagMutual | krb.FlagReplay | krb.FlagSequence | krb.FlagConfidentiality | krb.FlagIntegrity
)

// world is a domain with a client that has a ticket. Client and KDC are gokrb5's and
// ours: the client knows nothing of our code.
type world struct {
	directory *account.Directory
	client    *client.Client
	ticket    messages.Ticket
	key       types.EncryptionKey
}

func newWorld(t *testing.T, user, etypes string) *world {
	t.Helper()
	every := []int32{account.AES256, account.AES128, account.RC4}
	d, err := account.New(account.Options{
		Domain: "corp.test", NetBIOS: "CORP",
		Users: []account.User{
			{SAM: "ExAdmin", UPN: "exadmin@corp.test", Password: password, ETypes: every},
			{SAM: "EXCH01$", Password: "machine", SPNs: []string{spn, "HTTP/other.corp.test"}, ETypes: every},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := kdc.Start(kdc.Options{Directory: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg, err := config.NewFromString(fmt.Sprintf(`[libdefaults]
 default_realm = CORP.TEST
 dns_lookup_kdc = false
 udp_preference_limit = 1
 default_tkt_enctypes = %[2]s
 default_tgs_enctypes = %[2]s
 permitted_enctypes = %[2]s
[realms]
 CORP.TEST = {
  kdc = %[1]s
 }
`, s.Addr(), etypes))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{directory: d, client: client.NewWithPassword(user, "CORP.TEST", password, cfg, client.DisablePAFXFAST(true))}
	t.Cleanup(w.client.Destroy)
	if w.ticket, w.key, err = w.client.GetServiceTicket(spn); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) acceptor(change func(*krb.AcceptorOptions)) *krb.Acceptor {
	o := krb.AcceptorOptions{Directory: w.directory, SPNs: []string{spn}}
	if change != nil {
		change(&o)
	}
	return krb.NewAcceptor(o)
}

// token makes the client's token; change may spoil the authenticator.
func (w *world) token(t *testing.T, flags uint32, bindings []byte, change func(*types.Authenticator)) ([]byte, types.Authenticator) {
	t.Helper()
	auth, err := types.NewAuthenticator("CORP.TEST", w.client.Credentials.CName())
	if err != nil {
		t.Fatal(err)
	}
	et, err := crypto.GetEtype(w.key.KeyType)
	if err != nil {
		t.Fatal(err)
	}
	if err := auth.GenerateSeqNumberAndSubKey(w.key.KeyType, et.GetKeyByteSize()); err != nil {
		t.Fatal(err)
	}
	sum := make([]byte, 24)
	binary.LittleEndian.PutUint32(sum, 16)
	copy(sum[4:20], bindings)
	binary.LittleEndian.PutUint32(sum[20:], flags)
	auth.Cksum = types.Checksum{CksumType: 0x8003, Checksum: sum}
	if change != nil {
		change(&auth)
	}
	req, err := messages.NewAPReq(w.ticket, w.key, auth)
	if err != nil {
		t.Fatal(err)
	}
	if flags&krb.FlagMutual != 0 {
		types.SetFlag(&req.APOptions, 2)
	}
	tok, err := spnego.NewKRB5TokenAPREQ(w.client, w.ticket, w.key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	tok.APReq = req
	b, err := tok.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b, auth
}

const (
	aes256 = "aes256-cts-hmac-sha1-96"
	aes128 = "aes128-cts-hmac-sha1-96"
	rc4    = "rc4-hmac"
)

func TestMutualAuthenticationAndSealing(t *testing.T) {
	t.Parallel()
	for _, etype := range []string{aes256, aes128} {
		t.Run(etype, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "exadmin", etype)
			token, auth := w.token(t, all, nil, nil)
			c, err := w.acceptor(nil).Accept(token, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.User.SAM != "ExAdmin" || c.SPN != spn || c.Flags != all {
				t.Errorf("user %s, service %s, flags %#x", c.User.SAM, c.SPN, c.Flags)
			}
			p := newPeer(t, w, auth, c.Reply)
			var last []byte
			for i := range 5 {
				message := []byte(strings.Repeat("x", 1000*i) + "end")
				last = p.seal(t, message, i, 28)
				got, err := c.Unwrap(last)
				if err != nil || !bytes.Equal(got, message) {
					t.Fatalf("message %d: %v", i, err)
				}
				signature, data, err := c.Wrap(append([]byte("re: "), message...))
				if err != nil {
					t.Fatal(err)
				}
				if len(signature) != krb.HeaderLength || len(data) != len(message)+4 {
					t.Errorf("a signature of %d bytes, and %d for %d", len(signature), len(data), len(message)+4)
				}
				if got := p.open(t, append(signature, data...)); string(got) != "re: "+string(message) {
					t.Errorf("reply %d: %q", i, got)
				}
			}
			if _, err := c.Unwrap(last); !errors.Is(err, krb.ErrSequence) {
				t.Errorf("a repeated message: %v", err)
			}
			if _, err := c.Unwrap(p.seal(t, []byte("early"), 6, 28)); !errors.Is(err, krb.ErrSequence) {
				t.Errorf("a message out of order: %v", err)
			}
			spoilt := p.seal(t, []byte("spoilt"), 5, 28)
			spoilt[len(spoilt)-1] ^= 1
			if _, err := c.Unwrap(spoilt); err == nil {
				t.Error("a changed message was taken")
			}
			// The header is not encrypted, but signed: here the length of the filler and the flags.
			for at, bit := range map[int]byte{2: 4, 3: 1, 5: 1} {
				changed := p.seal(t, []byte("changed"), 5, 28)
				changed[at] ^= bit
				if got, err := c.Unwrap(changed); err == nil {
					t.Errorf("byte %d of the header was changed: %q", at, got)
				}
			}
			// Who was given a sub-session key must say that it is used (RFC 4121, section 4.2.2).
			silent := *p
			silent.subkey = false
			if _, err := c.Unwrap(silent.seal(t, []byte("silent"), 5, 28)); err == nil {
				t.Error("a token that does not name the acceptor's key was taken")
			}
			// How far a token is rotated is the sender's business.
			if got, err := c.Unwrap(p.seal(t, []byte("not rotated"), 5, 0)); err != nil || string(got) != "not rotated" {
				t.Errorf("a token that is not rotated: %q, %v", got, err)
			}
			for n := range 80 {
				if _, err := c.Unwrap(last[:n]); err == nil {
					t.Fatalf("%d bytes were taken for a message", n)
				}
			}
		})
	}
}

// The signature of the acceptor is checked by gokrb5.
func TestMIC(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "exadmin", aes256)
	token, auth := w.token(t, all, nil, nil)
	c, err := w.acceptor(nil).Accept(token, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, w, auth, c.Reply)
	b, err := c.MIC([]byte("mechanisms"))
	if err != nil {
		t.Fatal(err)
	}
	var mic gssapi.MICToken
	if err := mic.Unmarshal(b, true); err != nil {
		t.Fatal(err)
	}
	mic.Payload = []byte("mechanisms")
	if ok, err := mic.Verify(p.key, 23); !ok || err != nil {
		t.Errorf("signature of the acceptor: %v, %v", ok, err)
	}
	mine := gssapi.MICToken{Flags: gssapi.MICTokenFlagAcceptorSubkey, SndSeqNum: p.send, Payload: []byte("mechanisms")}
	if err := mine.SetChecksum(p.key, 25); err != nil {
		t.Fatal(err)
	}
	if b, err = mine.Marshal(); err != nil {
		t.Fatal(err)
	}
	if err := c.VerifyMIC([]byte("mechanism"), b); err == nil {
		t.Error("a signature was taken for that of another message")
	}
	if err := c.VerifyMIC([]byte("mechanisms"), b); err != nil {
		t.Error(err)
	}
	if err := c.VerifyMIC([]byte("mechanisms"), b); !errors.Is(err, krb.ErrSequence) {
		t.Errorf("a repeated signature: %v", err)
	}
}

func TestSealingNeedsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		etype string
		flags uint32
		want  error
	}{
		{aes256, krb.FlagMutual | krb.FlagIntegrity, krb.ErrNoSeal},
		{rc4, all, krb.ErrRC4},
	} {
		w := newWorld(t, "exadmin", c.etype)
		token, _ := w.token(t, c.flags, nil, nil)
		ctx, err := w.acceptor(nil).Accept(token, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ctx.Wrap([]byte("x")); !errors.Is(err, c.want) {
			t.Errorf("Wrap: %v, want %v", err, c.want)
		}
		if _, err := ctx.Unwrap(make([]byte, 100)); !errors.Is(err, c.want) {
			t.Errorf("Unwrap: %v, want %v", err, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "exadmin", aes256)
	for _, c := range []struct {
		name     string
		acceptor func(*krb.AcceptorOptions)
		change   func(*types.Authenticator)
		code     int32
	}{
		{name: "sound"},
		{name: "4 minutes behind", change: func(a *types.Authenticator) { a.CTime = a.CTime.Add(-4 * time.Minute) }},
		{name: "6 minutes behind", code: krb.CodeSkew, change: func(a *types.Authenticator) { a.CTime = a.CTime.Add(-6 * time.Minute) }},
		{name: "6 minutes ahead", code: krb.CodeSkew, change: func(a *types.Authenticator) { a.CTime = a.CTime.Add(6 * time.Minute) }},
		{name: "another client", code: krb.CodeBadMatch, change: func(a *types.Authenticator) { a.CName.NameString = []string{"alice"} }},
		{name: "another realm", code: krb.CodeBadMatch, change: func(a *types.Authenticator) { a.CRealm = "OTHER.TEST" }},
		{name: "no checksum", code: krb.CodeInappropriate, change: func(a *types.Authenticator) { a.Cksum = types.Checksum{} }},
		{name: "another checksum", code: krb.CodeInappropriate, change: func(a *types.Authenticator) { a.Cksum.CksumType = 16 }},
		{name: "short checksum", code: krb.CodeInappropriate, change: func(a *types.Authenticator) { a.Cksum.Checksum = a.Cksum.Checksum[:23] }},
		{name: "another service", code: krb.CodeNotUs, acceptor: func(o *krb.AcceptorOptions) { o.SPNs = []string{"HTTP/other.corp.test"} }},
		{name: "a week later", code: krb.CodeExpired, acceptor: func(o *krb.AcceptorOptions) {
			o.Now = func() time.Time { return time.Now().AddDate(0, 0, 7) }
		}, change: func(a *types.Authenticator) { a.CTime = a.CTime.AddDate(0, 0, 7) }},
		{name: "an hour before", code: krb.CodeNotYetValid, acceptor: func(o *krb.AcceptorOptions) {
			o.Now = func() time.Time { return time.Now().Add(-time.Hour) }
		}, change: func(a *types.Authenticator) { a.CTime = a.CTime.Add(-time.Hour) }},
	} {
		token, _ := w.token(t, all, nil, c.change)
		_, err := w.acceptor(c.acceptor).Accept(token, nil)
		if got := code(err); got != c.code || (err == nil) != (c.code == 0) {
			t.Errorf("%s: %v, want code %d", c.name, err, c.code)
		}
	}
	token, _ := w.token(t, all, nil, nil)
	mutual, both := []byte{0xA2, 7, 3, 5, 0, 0x20}, []byte{0xA2, 7, 3, 5, 0, 0x60}
	if _, err := w.acceptor(nil).Accept(bytes.Replace(token, mutual, both, 1), nil); code(err) != krb.CodeModified {
		t.Errorf("user-to-user: %v", err)
	}
	if err := w.directory.Change("EXCH01$", func(u *account.User) { u.Password = "new" }); err != nil {
		t.Fatal(err)
	}
	token, _ = w.token(t, all, nil, nil)
	if _, err := w.acceptor(nil).Accept(token, nil); code(err) != krb.CodeModified {
		t.Errorf("a ticket for another key: %v", err)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "exadmin", aes256)
	a := w.acceptor(nil)
	token, _ := w.token(t, all, nil, nil)
	if _, err := a.Accept(token, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Accept(token, nil); code(err) != krb.CodeRepeat {
		t.Errorf("the same token: %v", err)
	}
	if token, _ = w.token(t, all, nil, nil); code(func() error { _, err := a.Accept(token, nil); return err }()) != 0 {
		t.Error("another token was refused")
	}
}

func TestChannelBindings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "exadmin", aes256)
	right, other := bytes.Repeat([]byte{7}, 16), bytes.Repeat([]byte{8}, 16)
	for _, c := range []struct {
		mode          binding.Mode
		channel, sent []byte
		want          error
	}{
		{binding.None, right, other, nil},
		{binding.Allow, right, nil, nil},
		{binding.Allow, right, right, nil},
		{binding.Allow, right, other, binding.ErrWrong},
		{binding.Require, right, nil, binding.ErrAbsent},
		{binding.Require, right, right, nil},
		{binding.Require, right, other, binding.ErrWrong},
		{binding.Require, nil, nil, nil}, // plain http: the ticket names the service
	} {
		token, _ := w.token(t, all, c.sent, nil)
		_, err := w.acceptor(func(o *krb.AcceptorOptions) { o.ExtendedProtection = c.mode }).Accept(token, c.channel)
		if !errors.Is(err, c.want) {
			t.Errorf("mode %d, channel %x, sent %x: %v, want %v", c.mode, c.channel, c.sent, err, c.want)
		}
	}
}

func TestWithoutMutualAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "exadmin", aes256)
	token, auth := w.token(t, krb.FlagConfidentiality|krb.FlagIntegrity, nil, nil)
	c, err := w.acceptor(nil).Accept(token, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Reply != nil {
		t.Error("an AP-REP nobody asked for")
	}
	p := &peer{key: auth.SubKey, send: uint64(auth.SeqNumber)}
	if got, err := c.Unwrap(p.seal(t, []byte("hello"), 0, 28)); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

func code(err error) int32 {
	var e *krb.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}
