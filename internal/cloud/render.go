package cloud

import (
	"bytes"
	"cmp"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Definition writes the cloud as Parse reads it. A built-in cloud has none that could
// be added again.
func (c Cloud) Definition() ([]byte, error) {
	data, err := yaml.Marshal(struct {
		Name             string `yaml:"name"`
		Title            string `yaml:"title,omitempty"`
		Authority        string `yaml:"authority"`
		Graph            string `yaml:"graph"`
		Outlook          string `yaml:"outlook"`
		SharePointSuffix string `yaml:"sharepoint_suffix,omitempty"`
		Portal           string `yaml:"portal,omitempty"`
		CA               string `yaml:"ca_certificate,omitempty"`
	}{c.Name, c.Title, c.Login, c.Graph, c.Outlook, c.SharePointSuffix, c.Portal, string(c.CA)})
	if err != nil {
		return nil, fmt.Errorf("writing the definition of cloud %q: %w", c.Name, err)
	}
	return data, nil
}

// Same tells whether two clouds have the same hosts and trust the same authorities;
// their titles do not count.
func (c Cloud) Same(other Cloud) bool {
	return c.Name == other.Name && len(c.Differences(other)) == 0
}

// Differences says, a phrase each, what is otherwise in other: its hosts and what it
// trusts, for people.
func (c Cloud) Differences(other Cloud) []string {
	var list []string
	for _, part := range [][3]string{
		{"sign-in at", c.Login, other.Login}, {"Microsoft Graph at", c.Graph, other.Graph}, {"Exchange at", c.Outlook, other.Outlook},
		{"SharePoint beneath", c.SharePointSuffix, other.SharePointSuffix}, {"admin centre at", c.Portal, other.Portal},
	} {
		if part[1] != part[2] {
			list = append(list, fmt.Sprintf("%s %s instead of %s", part[0], cmp.Or(part[2], "none"), cmp.Or(part[1], "none")))
		}
	}
	if !bytes.Equal(c.CA, other.CA) {
		list = append(list, "other certificate authorities that are trusted")
	}
	return list
}
