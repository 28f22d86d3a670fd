package onprem

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"sync"
)

// stream is a source of bytes that repeats with the seed: for ids, never for keys.
type stream struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func newStream(seed int64, label string) *stream {
	return &stream{src: rand.NewChaCha8(sha256.Sum256([]byte(strconv.FormatInt(seed, 10) + "|" + label)))}
}

// Read fills b.
func (s *stream) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.src.Read(b)
}

// guid makes a GUID in version 4 form.
func (s *stream) guid() string {
	var b [16]byte
	_, _ = s.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
