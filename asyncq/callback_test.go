package asyncq_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/asyncq"
)

func TestCallbackPolicy(t *testing.T) {
	own := asyncq.CallbackPolicy{Ports: []uint16{443, 8443}, AllowPrefixes: []netip.Prefix{
		netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("127.0.0.1/32")}}
	for url, want := range map[string]string{
		"https://manga.example":                              "",
		"https://manga.example/hook?tenant=1#x":              "",
		"https://MANGA.example:443/":                         "",
		"https://manga.example./":                            "",
		"https://hooks_1.manga.example/":                     "",
		"https://xn--4gbrim.example/":                        "",
		"https://8.8.8.8/":                                   "",
		"https://[2606:4700:4700::1111]/":                    "",
		"https://manga.example/" + strings.Repeat("x", 2026): "",
		"https://manga.example/" + strings.Repeat("x", 2027): "2049 bytes",
		"":                                                  "not an https URL",
		"manga.example/hook":                                "not an https URL",
		"http://manga.example/":                             "not an https URL",
		"ftp://manga.example/":                              "not an https URL",
		"https:manga.example":                               "no host",
		"https:///path":                                     "no host",
		"https://:443/":                                     "no host",
		"https://[::1":                                      "not a URL",
		"https://a b/":                                      "not a URL",
		"https://manga.example/\x00":                        "not a URL",
		"https://user@manga.example/":                       "a user",
		"https://user:pw@8.8.8.8/":                          "a user",
		"https://manga.example:/":                           "no port",
		"https://manga.example:0/":                          "between 1 and 65535",
		"https://manga.example:65979":                       "between 1 and 65535",
		"https://manga.example:8443/":                       "port 8443",
		"https://manga.example:80/":                         "port 80",
		"https://127.0.0.1/":                                "not public",
		"https://10.1.2.3/":                                 "not public",
		"https://172.16.0.1/":                               "not public",
		"https://192.168.0.1/":                              "not public",
		"https://169.254.169.254/":                          "not public",
		"https://100.64.0.1/":                               "not public",
		"https://0.0.0.0/":                                  "not public",
		"https://255.255.255.255/":                          "not public",
		"https://168.63.129.16/":                            "not public",
		"https://[::1]/":                                    "not public",
		"https://[::]/":                                     "not public",
		"https://[::ffff:10.0.0.1]/":                        "not public",
		"https://[::ffff:8.8.8.8]/":                         "",
		"https://[fe80::1]/":                                "not public",
		"https://[fe80::1%25eth0]/":                         "not public",
		"https://[2606:4700::1%251]/":                       "not public",
		"https://[fd00:ec2::254]/":                          "not public",
		"https://[3fff::1]/":                                "not public",
		"https://[2002:7f00:1::]/":                          "not public",
		"https://[64:ff9b::a00:1]/":                         "not public",
		"https://localhost/":                                "the machine itself",
		"https://LOCALHOST./":                               "the machine itself",
		"https://a.localhost/":                              "the machine itself",
		"https://127.1/":                                    "looks like an address",
		"https://2130706433/":                               "looks like an address",
		"https://0x7f000001/":                               "looks like an address",
		"https://127.0.0.0x1/":                              "looks like an address",
		"https://127.0.0.1./":                               "looks like an address",
		"https://a..example/":                               "no DNS name",
		"https://./":                                        "0 bytes",
		"https://漫画.example/":                               "xn--",
		"https://127。0。0。1/":                                "xn--",
		"https://a,b.example/":                              "no DNS name",
		"https://" + strings.Repeat("a", 64) + ".example/":  "no DNS name",
		"https://" + strings.Repeat("a.", 127) + "example/": "host name of 261 bytes",
	} {
		err := asyncq.CallbackPolicy{}.Check(url)
		if want == "" {
			assert.NoError(t, err, url)
			assert.NoError(t, own.Check(url), url)
		} else {
			assert.ErrorContains(t, err, want, url)
		}
	}
	for url, ok := range map[string]bool{
		"https://10.1.2.3:8443/": true, "https://10.2.2.3:8443/": false, "https://[fd00::1]/": true, "https://127.0.0.1/": true,
		"https://[::ffff:127.0.0.1]/": true, "https://127.0.0.2/": false, "https://localhost/": true, "https://manga.example:8444/": false,
	} {
		assert.Equal(t, ok, own.Check(url) == nil, url)
	}
	plain := asyncq.CallbackPolicy{Ports: []uint16{443, 80, 9000}, AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true}
	for url, ok := range map[string]bool{
		"http://127.0.0.1:9000/": true, "http://127.0.0.1/": true, "http://[::ffff:127.0.0.1]:9000/": true, "http://localhost:9000/": true, "https://manga.example/": true,
		"http://127.0.0.1:9001/": false, "http://[::1]:9000/": false, "http://8.8.8.8/": false, "http://manga.example/": false, "http://10.0.0.1/": false,
		"http://a.localhost/": false, "http://127.1/": false, "ftp://127.0.0.1/": false, "http://user@127.0.0.1/": false,
	} {
		assert.Equal(t, ok, plain.Check(url) == nil, url)
	}
	plain.AllowHTTP = false
	assert.ErrorContains(t, plain.Check("http://127.0.0.1:9000/"), "not an https URL")
	assert.NotContains(t, asyncq.CallbackPolicy{}.Check("https://user:canary@manga.example/").Error(), "canary")
}

// An address that a name leads to is seen as it is dialled.
func TestCallbackPolicyControl(t *testing.T) {
	var p asyncq.CallbackPolicy
	for address, ok := range map[string]bool{
		"8.8.8.8:443": true, "8.8.8.8:80": false, "10.0.0.1:443": false, "168.63.129.16:443": false, "nonsense": false,
	} {
		assert.Equal(t, ok, p.Control("tcp4", address, nil) == nil, address)
	}
	assert.Error(t, p.Control("tcp6", "[3fff::1]:443", nil))
	assert.NoError(t, p.Control("tcp6", "[2606:4700:4700::1111]:443", nil))
	assert.Error(t, p.Control("udp4", "8.8.8.8:443", nil))
}

// Whatever a URL is, the check ends without a panic, and what it takes is https.
func FuzzCallbackPolicy(f *testing.F) {
	for _, url := range []string{"https://manga.example/", "https://[::1%25a]:1/", "https://0x7f.1", "https://:443", "https:a"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		if (asyncq.CallbackPolicy{}).Check(url) == nil {
			assert.Less(t, len(url), 2049)
			assert.True(t, strings.HasPrefix(strings.ToLower(url), "https://"), url)
			assert.NotContains(t, strings.SplitN(url[8:], "/", 2)[0], "@")
		}
	})
}
