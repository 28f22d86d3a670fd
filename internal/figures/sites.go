//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// sitesScript makes a SharePoint connection and leaves the answer in a file.
const sitesScript = `"$0" new sharepoint --manual --client-id "$SIM_SHAREPOINT_CLIENT_ID" --tenant-id "$SIM_TENANT_ID" --sharepoint-url "$SIM_SHAREPOINT_URL" \
	--cert-file "$SIM_CERT_FILE" --cert-password-file "$SIM_CERT_PASSWORD_FILE" --name figures --output json > "$1"`

// enumeration measures how long 5,000 site collections take with 80 ms between here
// and the tenant: each page names the next, so the pages come one after the other.
// The best of up to three rounds counts, because what else runs can only make it
// longer; the pages are counted in a round of their own, as writing a log costs time.
func (b *bench) enumeration() error {
	const rtt = 80 * time.Millisecond
	answer, log := filepath.Join(b.dir, "sites.json"), filepath.Join(b.dir, "sites.log")
	round := func(more ...string) error {
		args := append([]string{"run", "--fault", "sites=5000"}, more...)
		_, err := b.once(nil, b.sim, append(args, "--", "sh", "-c", sitesScript, b.c2conn, answer)...)
		return err
	}
	if err := round("--log", log); err != nil {
		return err
	}
	requests, err := readLog(log)
	if err != nil {
		return err
	}
	pages := 0
	for _, r := range requests {
		if strings.Contains(r.URL, "getAllSites") {
			pages++
		}
	}
	best, said := time.Duration(0), ""
	for range 3 {
		if err := round("--rtt", rtt.String()); err != nil {
			return err
		}
		took, finding, err := sitesCheck(answer)
		if err != nil {
			return err
		}
		if best == 0 || took < best {
			best, said = took, finding
		}
	}
	b.note("%-58s %9.2f ms   (%d pages; %s)", "5,000 site collections at 80 ms", ms(best), pages, said)
	b.bound(fmt.Sprintf("5,000 site collections: times %d pages x 80 ms", pages), ratio(best, time.Duration(pages)*rtt), 1.15, "x")
	return nil
}

// sitesCheck reads from the answer of "new" how long the enumeration took.
func sitesCheck(path string) (took time.Duration, finding string, err error) {
	data, err := os.ReadFile(path) //nolint:gosec // our own file
	if err != nil {
		return 0, "", err
	}
	var answer struct {
		Checks []struct {
			ID       string  `json:"id"`
			Status   string  `json:"status"`
			Finding  string  `json:"finding"`
			Duration float64 `json:"duration_ms"`
		} `json:"checks"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return 0, "", err
	}
	for _, c := range answer.Checks {
		if c.ID == "sharepoint.sites" && c.Status == "pass" {
			return time.Duration(c.Duration * float64(time.Millisecond)), c.Finding, nil
		}
	}
	return 0, "", fmt.Errorf("the check sharepoint.sites did not pass:\n%s", data)
}
