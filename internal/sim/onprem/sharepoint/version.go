package sharepoint

import (
	"errors"
	"fmt"
)

// ErrVersion marks a version of SharePoint Server that is not simulated.
var ErrVersion = errors.New("unknown version of SharePoint Server")

// Version is a version of SharePoint Server.
type Version struct {
	Name  string // "SE", "2019", "2016", "2013"
	Title string // as administrators call it
	Build string // four numbers, as LibraryVersion and (Get-SPFarm).BuildVersion tell it
	// Header is what the header MicrosoftSharePointTeamServices tells: the third number
	// is zero, the build is in the fourth place, and the revision is lost.
	Header string
}

// rtm is SharePoint 2013 before Service Pack 1, whose REST service knows of JSON the
// format odata=verbose alone.
var rtm = Version{Name: "2013", Title: "SharePoint Server 2013", Build: "15.0.4420.1017", Header: "15.0.0.4420"}

// Versions are those that can be simulated, the newest first.
//
// Source: learn.microsoft.com/officeupdates/sharepoint-updates; the header as real
// servers send it.
func Versions() []Version {
	return []Version{
		{"SE", "SharePoint Server Subscription Edition", "16.0.14326.20450", "16.0.0.14326"},
		{"2019", "SharePoint Server 2019", "16.0.10337.12109", "16.0.0.10337"},
		{"2016", "SharePoint Server 2016", "16.0.4351.1000", "16.0.0.4351"},
		{"2013", "SharePoint Server 2013 SP1", "15.0.4569.1506", "15.0.0.4569"},
	}
}

// versionOf finds a version by its name; "" is the newest.
func versionOf(name string) (Version, error) {
	all := Versions()
	if name == "" {
		return all[0], nil
	}
	for _, v := range all {
		if v.Name == name {
			return v, nil
		}
	}
	return Version{}, fmt.Errorf("%w: %q", ErrVersion, name)
}
