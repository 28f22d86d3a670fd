//go:build integration

package integration

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// reported is a tenant whose reports have something to say: a connection that works,
// one whose certificate ends soon, one whose application is named by somebody with
// bad intentions, one whose key is gone, and a damaged file. It returns the folder of the
// reports of verify --all.
func reported(t *testing.T) (tenant, string) {
	t.Helper()
	n := newTenant(t, newWorld(t)).fresh(t, "state")
	n = tenant{world: n.with("C2CONN_IDENTITY_FILE", filepath.Join(n.dir(), "identity")), server: n.server}
	for _, name := range []string{"contoso-backup", "ends-soon", "hostile", "lost-key"} {
		want(t, n.run(t, "c2conn", n.connect(name, n.certificate()...)...), 0)
	}
	profile := func(name string) string { return filepath.Join(n.home(), "connections", name+".yaml") }
	edit := func(name, pattern, with string) {
		write(t, profile(name), regexp.MustCompile(pattern).ReplaceAllLiteralString(read(t, profile(name)), with), 0o600)
	}
	soon := strings.TrimSpace(n.run(t, "date", "-u", "-d", "+9 days", "+%Y-%m-%dT%H:%M:%SZ").out)
	edit("ends-soon", `not_after: .*`, "not_after: "+soon)
	edit("hostile", `( *)client_id: .*`, "  client_id: "+n.world["SIM_CLIENT_ID"]+"\n"+`  app_name: "<script>document.title='owned'</script><img src=https://evil.test/x onerror=document.title='owned'>"`)
	edit("lost-key", `secret: store:.*`, "secret: file:/nowhere/app.pfx")
	write(t, profile("damaged"), "schema: 1\nid: [\n", 0o600)
	n.run(t, "mkdir", filepath.Join(n.dir(), "reports"))
	dir := filepath.Join(n.dir(), "reports")
	want(t, n.run(t, "c2conn", "verify", "--all", "--report", "html="+filepath.Join(dir, "report.html"), "--report", "prometheus="+filepath.Join(dir, "c2conn.prom")), 1)
	return n, dir
}

func TestReport(t *testing.T) {
	check(t, "is a page that needs nothing, harms nobody and fits each screen and paper", func(t *testing.T) {
		n, dir := reported(t)
		b := n.browse(t)
		b.call("Network.enable", nil, nil)
		address := "file://" + filepath.Join(dir, "report.html")
		b.size(1200)
		b.open(address)
		text := b.text(address)
		for _, part := range []string{"connections need attention – c2conn", "contoso-backup", "9 days left", "damaged.yaml", "could not be checked", "Each connection"} {
			if !strings.Contains(text, part) && !strings.Contains(text, strings.ReplaceAll(part, "9 days", "8 days")) {
				t.Errorf("the page does not say %q:\n%s", part, text)
			}
		}
		if strings.Contains(b.run(`document.title`), "owned") || b.run(`String(document.querySelectorAll("script, img, iframe, object").length)`) != "0" {
			t.Error("what stands in a profile became a part of the page")
		}
		for _, width := range []int{1200, 400} {
			b.size(width)
			if over := b.run(`String(document.documentElement.scrollWidth - document.documentElement.clientWidth)`); over != "0" {
				t.Errorf("at %d pixels it is %s too wide", width, over)
			}
			for _, scheme := range []string{"light", "dark"} {
				if png := b.shoot(scheme, filepath.Join(dir, fmt.Sprintf("report-%s-%d.png", scheme, width))); len(png) < 10000 {
					t.Errorf("a picture of %d bytes", len(png))
				}
			}
		}
		if c := b.complaints(""); len(c) > 0 {
			t.Errorf("the browser complains: %s", c)
		}
		if urls := b.asked(); len(urls) != 1 || urls[0] != address {
			t.Errorf("the page asked for %q", urls)
		}
		// On paper every section is open, also those that are closed on the screen.
		b.call("Emulation.setEmulatedMedia", map[string]any{"media": "print"}, nil)
		if shut := b.run(`String([...document.querySelectorAll("details")].filter(d => !d.querySelector("dl").checkVisibility({contentVisibilityAuto: true}) || d.querySelector("dl").getBoundingClientRect().height < 10).length)`); shut != "0" {
			t.Errorf("%s sections are shut on paper", shut)
		}
		var paper struct{ Data string }
		b.call("Page.printToPDF", map[string]any{"preferCSSPageSize": true, "printBackground": true}, &paper)
		pdf, err := base64.StdEncoding.DecodeString(paper.Data)
		if err != nil || !bytes.HasPrefix(pdf, []byte("%PDF-")) {
			t.Fatalf("no PDF: %v", err)
		}
		write(t, filepath.Join(dir, "report.pdf"), string(pdf), 0o600)
		if pages := len(regexp.MustCompile(`/Type /Page\b`).FindAll(pdf, -1)); pages < 2 || pages > 12 {
			t.Errorf("%d pages", pages)
		}
		if box := regexp.MustCompile(`/MediaBox \[0 0 59[45]\S* 84[12]`); !box.Match(pdf) {
			t.Error("the paper is not A4")
		}
	})
	check(t, "is what Prometheus' own parser reads", func(t *testing.T) {
		n, dir := reported(t)
		r := n.feed(t, read(t, filepath.Join(dir, "c2conn.prom")), "/usr/bin/python3", "-c", `import sys
from prometheus_client.parser import text_string_to_metric_families as families
for f in families(sys.stdin.read()):
    for s in f.samples:
        print(f.type, s.name, s.labels.get("name", ""), s.value)`)
		want(t, r, 0, "gauge c2conn_connection_verified contoso-backup 1.0", "gauge c2conn_connection_verified lost-key 0.0", "gauge c2conn_report_problems 1.0", "gauge c2conn_connection_credential_expiry_timestamp_seconds ends-soon")
	})
}
