package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
)

// Application ids of Microsoft's own services, the same in every tenant.
const (
	GraphAppID      = "00000003-0000-0000-c000-000000000000"
	ExchangeAppID   = "00000002-0000-0ff1-ce00-000000000000"
	SharePointAppID = "00000003-0000-0ff1-ce00-000000000000"
)

// Public clients of Microsoft's that administrators' tools sign in with.
const (
	AzureCLIAppID = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	GraphCLIAppID = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
)

// microsoftTenant owns Microsoft's own applications.
const microsoftTenant = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"

// guidOf makes the GUID that the seed gives to a label, in version 4 form.
func guidOf(seed int64, label string) string {
	sum := sha256.Sum256([]byte(strconv.FormatInt(seed, 10) + "|" + label))
	return formatGUID(sum[:16])
}

func formatGUID(b []byte) string {
	g := append([]byte(nil), b[:16]...)
	g[6] = g[6]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	h := hex.EncodeToString(g)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// isGUID reports whether s has the form 8-4-4-4-12 of hexadecimal digits.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, r := range s {
		switch i {
		case 8, 13, 18, 23:
			if r != '-' {
				return false
			}
		default:
			if !strings.ContainsRune("0123456789abcdefABCDEF", r) {
				return false
			}
		}
	}
	return true
}

// secretOf makes a client secret as Entra ID forms them: 40 characters with
// "8Q~" after the first three, and "." "_" "-" "~" among the others.
func secretOf(seed int64, label string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	sum := sha256.Sum256([]byte("secret|" + strconv.FormatInt(seed, 10) + "|" + label))
	src := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:]))) //nolint:gosec // a made-up secret that must repeat
	b := make([]byte, 40)
	for i := range b {
		b[i] = letters[src.IntN(len(letters))]
	}
	copy(b[3:], "8Q~")
	b[12], b[19], b[27] = '.', '_', '-'
	return string(b)
}

// dice gives the seeded randomness of requests: ids and chances.
type dice struct {
	mu  sync.Mutex
	src *rand.Rand
}

func newDice(seed int64) *dice {
	return &dice{src: rand.New(rand.NewPCG(uint64(seed), 0x633263))} //nolint:gosec // ids that must repeat, no secrets of anyone
}

func (d *dice) guid() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], d.src.Uint64())
	binary.LittleEndian.PutUint64(b[8:], d.src.Uint64())
	return formatGUID(b[:])
}

// below gives a number from 0 up to, without, n.
func (d *dice) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.src.IntN(n)
}

// chance gives a number from 0 up to, without, 1.
func (d *dice) chance() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.src.Float64()
}
