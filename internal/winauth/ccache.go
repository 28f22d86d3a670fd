package winauth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/types"
)

// Limits of a credential cache.
const (
	cacheLimit      = 4 << 20 // bytes of the file
	cacheEntries    = 1000
	cacheComponents = 32 // of a name
	cacheList       = 1000
)

// CachedTicket tells whose tickets a credential cache holds.
type CachedTicket struct {
	Principal string // alice@CORP.TEST
	Until     time.Time
}

// ReadCache tells whose ticket-granting ticket is in the credential cache at path
// ("FILE:" in front is taken) and until when it is valid. Errors: *TicketError; a
// ticket that has expired is none.
func ReadCache(path string, readFile func(string) ([]byte, error)) (CachedTicket, error) {
	c, err := readCache(path, readFile)
	if err != nil {
		return CachedTicket{}, err
	}
	t := c.granting()
	if t == nil {
		return CachedTicket{}, &TicketError{Cache: path, Err: errors.New("it holds no ticket of a sign-in (krbtgt)")}
	}
	return CachedTicket{Principal: clean(c.owner.String()), Until: t.until}, nil
}

// cached takes a ticket for spn out of the credential cache, or nil when there is
// only the one to ask the domain for others with.
func (a *Account) cached(spn string) (*ticket, error) {
	c, err := readCache(a.o.Cache, a.o.ReadFile)
	if err != nil {
		return nil, err
	}
	now := a.o.Clock.Now()
	for _, e := range c.entries {
		if e.client.equal(c.owner) && strings.EqualFold(strings.Join(e.server.parts, "/"), spn) && now.Before(e.until.Add(-ticketMargin)) {
			if t, err := e.ticket(); err == nil {
				return t, nil
			}
		}
	}
	e := c.granting()
	switch {
	case e == nil:
		return nil, &TicketError{Cache: a.o.Cache, Err: errors.New("it holds no ticket of a sign-in (krbtgt): run kinit")}
	case !now.Before(e.until):
		return nil, &TicketError{Cache: a.o.Cache, Until: e.until}
	}
	t, err := e.ticket()
	if err != nil {
		return nil, &TicketError{Cache: a.o.Cache, Err: err}
	}
	a.kerberos.tgt, a.kerberos.home = t, t.SName.NameString[1]
	return nil, nil
}

type cachePrincipal struct {
	kind  int32
	realm string
	parts []string
}

// String gives alice@CORP.TEST.
func (p cachePrincipal) String() string { return strings.Join(p.parts, "/") + "@" + p.realm }

func (p cachePrincipal) equal(o cachePrincipal) bool { return p.String() == o.String() }

func (p cachePrincipal) name() types.PrincipalName {
	return types.PrincipalName{NameType: p.kind, NameString: p.parts}
}

type cacheEntry struct {
	client, server cachePrincipal
	key            types.EncryptionKey
	until          time.Time
	raw            []byte
}

// ticket decodes the entry.
func (e cacheEntry) ticket() (*ticket, error) {
	t := &ticket{key: e.key, client: e.client.name(), clientRealm: e.client.realm, until: e.until}
	if err := t.Unmarshal(e.raw); err != nil {
		return nil, fmt.Errorf("read the ticket for %s: %w", clean(e.server.String()), err)
	}
	if !validKey(e.key) {
		return nil, fmt.Errorf("the ticket for %s has a key of type %d: only AES and RC4 are known", clean(e.server.String()), e.key.KeyType)
	}
	if len(t.SName.NameString) == 0 || t.SName.NameString[0] == "krbtgt" && len(t.SName.NameString) != 2 {
		return nil, errors.New("a ticket for nobody")
	}
	return t, nil
}

type cache struct {
	owner   cachePrincipal
	entries []cacheEntry
}

// granting is the ticket-granting ticket of the owner's own realm.
func (c *cache) granting() *cacheEntry {
	var best *cacheEntry
	for i := range c.entries {
		e := &c.entries[i]
		if e.client.equal(c.owner) && len(e.server.parts) == 2 && e.server.parts[0] == "krbtgt" && e.server.parts[1] == c.owner.realm &&
			(best == nil || e.until.After(best.until)) {
			best = e
		}
	}
	return best
}

func readCache(path string, readFile func(string) ([]byte, error)) (*cache, error) {
	file := path
	if kind, rest, ok := strings.Cut(path, ":"); ok && len(kind) > 1 { // one letter is a drive of Windows
		if kind != "FILE" {
			return nil, &TicketError{Cache: path, Err: fmt.Errorf("only files can be read, not caches of the kind %s: set KRB5CCNAME=FILE:… and run kinit", clean(kind))}
		}
		file = rest
	}
	b, err := readFile(file)
	if err != nil {
		return nil, &TicketError{Cache: path, Err: err}
	}
	c, err := parseCache(b)
	if err != nil {
		return nil, &TicketError{Cache: path, Err: err}
	}
	return c, nil
}

// parseCache reads the file format of MIT and Heimdal, versions 3 and 4.
// Source: web.mit.edu/kerberos/krb5-devel/doc/formats/ccache_file_format.html.
func parseCache(b []byte) (*cache, error) {
	if len(b) > cacheLimit {
		return nil, fmt.Errorf("larger than %d MiB", cacheLimit>>20)
	}
	r := &cacheReader{b: b}
	if r.u8() != 5 {
		return nil, errors.New("not a Kerberos credential cache")
	}
	version := r.u8()
	switch version {
	case 3:
	case 4:
		r.bytes(int(r.u16()))
	default:
		return nil, fmt.Errorf("format version %d, not 3 or 4", version)
	}
	c := &cache{owner: r.principal()}
	for r.err == nil && len(r.b) > 0 {
		if len(c.entries) == cacheEntries {
			return nil, fmt.Errorf("more than %d tickets", cacheEntries)
		}
		e := r.entry(version)
		// Not tickets, but notes of the library (X-CACHECONF:), and removed ones.
		if !strings.HasPrefix(e.server.realm, "X-CACHECONF:") && len(e.raw) > 0 {
			c.entries = append(c.entries, e)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(c.owner.parts) == 0 || c.owner.realm == "" {
		return nil, errors.New("it does not say whose tickets it holds")
	}
	return c, nil
}

// cacheReader reads big-endian values; after the first failure it gives zeros.
type cacheReader struct {
	b   []byte
	err error
}

func (r *cacheReader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.b) {
		r.err = errors.New("the file is cut off or damaged")
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *cacheReader) u8() uint8 {
	if b := r.bytes(1); r.err == nil {
		return b[0]
	}
	return 0
}

func (r *cacheReader) u16() uint16 {
	if b := r.bytes(2); r.err == nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *cacheReader) u32() uint32 {
	if b := r.bytes(4); r.err == nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *cacheReader) data() []byte {
	n := r.u32()
	if n > math.MaxInt32 {
		n = math.MaxInt32
	}
	return r.bytes(int(n))
}

func (r *cacheReader) count(limit uint32) int {
	n := r.u32()
	if n > limit && r.err == nil {
		r.err = errors.New("the file is damaged: a list is too long")
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

func (r *cacheReader) principal() cachePrincipal {
	p := cachePrincipal{kind: int32(r.u32())}
	n := r.count(cacheComponents)
	p.realm = string(r.data())
	for range n {
		p.parts = append(p.parts, string(r.data()))
	}
	return p
}

func (r *cacheReader) entry(version uint8) cacheEntry {
	e := cacheEntry{client: r.principal(), server: r.principal()}
	e.key.KeyType = int32(r.u16())
	if version == 3 {
		r.u16() // the type once more
	}
	e.key.KeyValue = append([]byte(nil), r.data()...)
	r.u32() // time of the sign-in
	r.u32() // start
	e.until = time.Unix(int64(r.u32()), 0)
	r.u32()       // renewable until
	r.u8()        // encrypted in another ticket's key
	r.u32()       // flags
	for range 2 { // addresses, then authorization data: both are a number and data
		for range r.count(cacheList) {
			r.u16()
			r.data()
		}
	}
	e.raw = append([]byte(nil), r.data()...)
	r.data() // second ticket
	return e
}
