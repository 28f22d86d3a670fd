package connections

import (
	"encoding/binary"
	"time"
)

// texts lists the text fields of a connection in the order of the index. A change
// here or in appendConnection needs a new indexHeader.
func texts(c *Connection) [35]*string {
	return [...]*string{
		&c.ID, &c.Name, (*string)(&c.Kind), (*string)(&c.Location), &c.Cloud, &c.Account, &c.AccountID,
		&c.Tenant.ID, &c.Tenant.Domain, &c.Tenant.Name,
		&c.Registration.Mode, &c.Registration.ClientID, &c.Registration.ObjectID, &c.Registration.ApplicationID, &c.Registration.AppName, &c.Registration.Catalogue, &c.Registration.Permissions,
		&c.Credential.Type, &c.Credential.Thumbprint, &c.Credential.ThumbprintSHA256,
		(*string)(&c.Credential.Secret), (*string)(&c.Credential.Password), &c.Credential.KeyID, &c.Credential.Cache,
		&c.Endpoints.Server, &c.Endpoints.EWS, &c.Endpoints.Autodiscover, &c.Endpoints.Domain, &c.Endpoints.PowerShell, &c.Endpoints.SharePoint, &c.Endpoints.Admin,
		&c.LegacyAdmin.UPN, (*string)(&c.LegacyAdmin.Password), &c.Verification.State, &c.Fleet,
	}
}

func times(c *Connection) [4]*time.Time {
	return [...]*time.Time{&c.Credential.NotAfter, &c.Verification.At, &c.Created, &c.Updated}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendConnection(b []byte, c Connection) []byte {
	b = binary.AppendVarint(b, int64(c.Schema))
	for _, s := range texts(&c) {
		b = appendText(b, *s)
	}
	for _, t := range times(&c) {
		b = binary.AppendVarint(b, t.Unix())
	}
	b = appendBool(b, c.Credential.PlainNTLM)
	return appendMap(appendMap(b, c.Verification.Checks), c.Pins)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendMap(b []byte, m map[string]string) []byte {
	b = binary.AppendUvarint(b, uint64(len(m)))
	for key, value := range m {
		b = appendText(appendText(b, key), value)
	}
	return b
}

// decodeConnection fills in c and tells whether s was whole.
func decodeConnection(s string, c *Connection) bool {
	r := reader{rest: s}
	*c = Connection{Schema: int(r.varint())}
	for _, p := range texts(c) {
		*p = r.text()
	}
	for _, t := range times(c) {
		*t = time.Unix(r.varint(), 0).UTC()
	}
	c.Credential.PlainNTLM = r.bool()
	c.Verification.Checks = r.pairs()
	c.Pins = r.pairs()
	return !r.bad && r.rest == ""
}

// reader takes values off the front of a text without copying it.
type reader struct {
	rest string
	bad  bool
}

// pairs reads what appendMap wrote; nil where there are none.
func (r *reader) pairs() map[string]string {
	n := r.uvarint()
	if r.bad = r.bad || n > uint64(len(r.rest)); r.bad || n == 0 {
		return nil
	}
	m := make(map[string]string, n)
	for range n {
		key := r.text()
		m[key] = r.text()
	}
	return m
}

// bool reads what appendBool wrote.
func (r *reader) bool() bool {
	v := r.uvarint()
	r.bad = r.bad || v > 1
	return v == 1
}

func (r *reader) uvarint() uint64 {
	var v uint64
	for i := 0; i < len(r.rest) && i < binary.MaxVarintLen64; i++ {
		c := r.rest[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.rest = r.rest[i+1:]
			return v
		}
	}
	r.bad, r.rest = true, ""
	return 0
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1) //nolint:gosec // zigzag, every bit pattern is meant
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, ""
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}
