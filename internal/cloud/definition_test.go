package cloud

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode"
)

func caPEM(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/ca.crt")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

const minimal = `name: sim
authority: https://localhost:8443
graph: https://localhost:8444
outlook: https://localhost:8445
`

func TestParseDefinition(t *testing.T) {
	t.Parallel()
	c, err := Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "sim" || c.Title != "sim" || c.Login != "https://localhost:8443" || c.Graph != "https://localhost:8444" ||
		c.Outlook != "https://localhost:8445" || c.Portal != "" || c.SharePointSuffix != "" || c.CA != nil || c.BuiltIn {
		t.Errorf("got %+v", c)
	}
	full := "\ufeff# a remark\r\nname: bleu-fr\r\ntitle: Bleu (Île-de-France)\r\nauthority: https://LOGIN.sovcloud-identity.fr:443/\r\n" +
		"graph: https://graph.svc.sovcloud.fr\r\noutlook: 'https://outlook.sovcloud.fr'\r\nsharepoint_suffix: '*.sovcloud-sharepoint.fr'\r\n" +
		"portal: https://[2001:DB8::1]:9443\r\nca_certificate: |\r\n" + strings.ReplaceAll(indented("a remark\n"+caPEM(t)+caPEM(t)), "\n", "\r\n")
	c, err = Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "bleu-fr" || c.Title != "Bleu (Île-de-France)" || c.Login != "https://login.sovcloud-identity.fr" ||
		c.SharePointSuffix != "sovcloud-sharepoint.fr" || c.Portal != "https://[2001:db8::1]:9443" {
		t.Errorf("got %+v", c)
	}
	if string(c.CA) != caPEM(t)+caPEM(t) {
		t.Errorf("CA: %q", c.CA)
	}
}

func TestParseDefinitionRefuses(t *testing.T) {
	t.Parallel()
	set := func(key, value string) string {
		lines := strings.SplitAfter(minimal, "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, key+":") {
				lines[i] = ""
			}
		}
		if value == "" {
			return strings.Join(lines, "")
		}
		return strings.Join(lines, "") + key + ": " + value + "\n"
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")}))
	tests := map[string]struct{ text, want string }{
		"unknown key":       {minimal + "grpah: https://x.example\n", `line 5: unknown key "grpah"; the keys are name, title, authority`},
		"unknown, hostile":  {minimal + "\"\\e[31m\": x\n", `unknown key "\x1b[31m"`},
		"key twice":         {minimal + "name: other\n", "line 5: name: the key stands here a second time"},
		"a list":            {"- a\n", "key: value"},
		"empty":             {"", "not YAML"},
		"comment only":      {"# nothing\n", "not YAML"},
		"text":              {"hello", "key: value"},
		"broken":            {"name: [", "not YAML"},
		"two documents":     {minimal + "---\nname: x\n", "more than one document"},
		"nested":            {set("graph", "{a: b}"), "line 4: graph: a plain text"},
		"alias":             {"name: &a sim\ntitle: *a\n", "title: a plain text"},
		"merge":             {"<<: {name: x}\n", "unknown key"},
		"too large":         {minimal + strings.Repeat("#", maxDefinition), "at most 65536"},
		"no name":           {set("name", ""), "name: the key is missing"},
		"null name":         {set("name", "~"), "name: the key is missing"},
		"no authority":      {set("authority", ""), "authority: the key is missing"},
		"no graph":          {set("graph", ""), "graph: the key is missing"},
		"no outlook":        {set("outlook", ""), "outlook: the key is missing"},
		"upper-case name":   {set("name", "Sim"), "is no name"},
		"path as name":      {set("name", "../x"), "is no name"},
		"dot as name":       {set("name", ".x"), "is no name"},
		"long name":         {set("name", strings.Repeat("x", 33)), "is no name"},
		"device":            {set("name", "com1"), "device on Windows"},
		"built-in":          {set("name", "global"), "built-in or reserved"},
		"retired":           {set("name", "germany"), "built-in or reserved"},
		"other name":        {set("name", "gcc-high"), "built-in or reserved"},
		"hostile title":     {set("title", `"a\u202Eb"`), "title: at most"},
		"long title":        {set("title", strings.Repeat("x", 101)), "title: at most"},
		"http":              {set("graph", "http://x.example"), "graph: \"http://x.example\" does not start with https://"},
		"no scheme":         {set("graph", "x.example"), "does not start with https://"},
		"user":              {set("graph", "https://user:hunter2@x.example"), "graph: the address contains a user name"},
		"query":             {set("graph", "https://x.example?a=b"), "with ? or #"},
		"empty query":       {set("graph", "https://x.example?"), "with ? or #"},
		"fragment":          {set("graph", `"https://x.example#"`), "with ? or #"},
		"path":              {set("graph", "https://x.example/v1.0"), "has a path"},
		"opaque":            {set("graph", "https:x.example"), "has a path"},
		"no host":           {set("graph", "https://"), "not a host name"},
		"space":             {set("graph", "https://x y.example"), "not an address"},
		"underscore":        {set("graph", "https://x_y.example"), "not a host name"},
		"international":     {set("graph", "https://exämple.example"), "xn--"},
		"dot at the end":    {set("graph", "https://x.example."), "not a host name"},
		"port 0":            {set("graph", "https://x.example:0"), "no port"},
		"port too high":     {set("graph", "https://x.example:65536"), "no port"},
		"port with zeros":   {set("graph", "https://x.example:0443"), "no port"},
		"portal with path":  {set("portal", "https://x.example/a"), "portal: the address has a path"},
		"suffix is a URL":   {set("sharepoint_suffix", "https://sharepoint.example"), "sharepoint_suffix:"},
		"suffix is an IP":   {set("sharepoint_suffix", "127.0.0.1"), "sharepoint_suffix:"},
		"suffix is nothing": {set("sharepoint_suffix", "'*.'"), "sharepoint_suffix:"},
		"no certificate":    {set("ca_certificate", "/etc/ssl/ca.pem"), "ca_certificate: no certificate"},
		"damaged PEM":       {minimal + "ca_certificate: |\n" + indented(caPEM(t)[:300]), "damaged"},
		"damaged DER":       {minimal + "ca_certificate: |\n" + indented(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}}))), "cannot be read"},
		"private key":       {minimal + "ca_certificate: |\n" + indented(caPEM(t)+key), "a private key stands here"},
		"other block":       {minimal + "ca_certificate: |\n" + indented(strings.ReplaceAll(key, "PRIVATE KEY", "X509 CRL")), `"X509 CRL"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse([]byte(test.text))
			var typed *DefinitionError
			if !errors.As(err, &typed) {
				t.Fatalf("got %+v, %v", c, err)
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %q, want %q", err, test.want)
			}
		})
	}
}

func FuzzCloudDefinition(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(minimal + "title: T\nsharepoint_suffix: '*.sp.example:8443'\nportal: https://[::1]:1/\nca_certificate: |\n" + indented(caPEM(f))))
	f.Add([]byte("name: &a x\nauthority: *a\n"))
	f.Add([]byte("\xff\xfen\x00a\x00"))
	f.Add([]byte("{name: sim, authority: 'https://a', graph: 'https://b', outlook: 'https://c'}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			for _, r := range err.Error() {
				if !unicode.IsPrint(r) {
					t.Fatalf("the error holds %U: %q", r, err)
				}
			}
			return
		}
		if !label(c.Name) || reserved(c.Name) {
			t.Fatalf("name %q", c.Name)
		}
		for _, base := range []string{c.Login, c.Graph, c.Outlook} {
			if !c.Allows(base) || strings.HasSuffix(base, "/") {
				t.Fatalf("%q is not allowed by its own cloud", base)
			}
		}
		if c.SharePointSuffix != "" {
			site, err := c.ParseSharePoint("contoso")
			if err != nil || !c.Allows(site.Site) {
				t.Fatalf("%q of %q: %v", site, c.SharePointSuffix, err)
			}
		}
		if len(c.CA) > 0 && bytes.Contains(c.CA, []byte("PRIVATE")) {
			t.Fatal("a key among the certificates")
		}
	})
}
