package sharepointserver

import "fmt"

// Version is what a build number tells of a server.
type Version struct {
	Name  string // "SharePoint Server 2019"
	Ended string // when Microsoft's support ended, 2006-01-02; "" where it goes on or is not known
}

// String is the build as administrators know it; "" for the zero Build.
func (b Build) String() string {
	if b == (Build{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d.%d", b.Major, b.Minor, b.Build, b.Revision)
}

// VersionOf names the version by its build.
func VersionOf(b Build) Version { return Version{Name: "SharePoint Server"} }
