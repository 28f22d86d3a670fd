package winauth

import "maps"

// Pinned are the certificates that were accepted though they do not verify: those of
// TrustOptions.Trusted and of a first use, by host:port.
func (t *Trust) Pinned() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.used)
}

// accept decides about a certificate that does not verify and is not the pinned one.
func (t *Trust) accept(host, sum string, pinned bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch seen, again := t.used[host]; {
	case pinned:
		return false
	case t.trusted[sum]:
	case !t.firstUse:
		return false
	case again && seen != sum:
		return false // it changed within the run
	default:
		t.first[host] = true
	}
	t.used[host] = sum
	return true
}

// Provisional reports whether a host's certificate counts only because it is the first
// one: nobody vouches for it, so no password goes there as it is.
func (t *Trust) Provisional(host string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.first[withPort(host)]
}
