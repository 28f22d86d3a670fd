// Package webpage is the look that c2conn's pages in a browser share: the last page
// of a sign-in and the report of a verification. A page needs nothing from elsewhere,
// and its policy forbids everything but its own style.
package webpage

import (
	"crypto/sha256"
	"encoding/base64"
)

// Base follows the screens of c2conn: one accent, readable on light and dark. Every
// colour of text has a contrast of at least 4.5 to the paper behind it.
const Base = `:root{color-scheme:light dark;--ink:#1c2024;--soft:#5b6470;--line:#d5dae0;--paper:#fff;--good:#14713d;--calm:#865400;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#a3abb5;--line:#3a4048;--paper:#16191d;--good:#67c98f;--calm:#e5b567;--bad:#ff8a80}}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
header{color:var(--soft);border-bottom:1px solid var(--line);padding-bottom:.5rem}
h1{font-size:1.6rem;line-height:1.25;margin:1.5rem 0 .5rem}
h2{font-size:1rem;margin:1.5rem 0 .25rem}
p,ul{margin:.5rem 0}ul{padding-left:1.25rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:1.5rem 0;font-size:.9rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
`

// Policy is the content security policy of a page with that one style element: it may
// load nothing, run nothing and send nothing.
//
// Source: Content Security Policy Level 3, section 8.3 (hashes of inline styles).
func Policy(style string) string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'"
}
