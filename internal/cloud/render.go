package cloud

import (
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
	return c.Name == other.Name && c.Login == other.Login && c.Graph == other.Graph && c.Outlook == other.Outlook &&
		c.SharePointSuffix == other.SharePointSuffix && c.Portal == other.Portal && string(c.CA) == string(other.CA)
}
