// A web server that greets. NAME is set at build time by the Dockerfile, TARGET at run time by whoever runs it.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
)

func value(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

func main() {
	name, target, port := value("NAME", "nobody"), value("TARGET", "World"), value("PORT", "8080")
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		log.Printf("%s %s from %s", r.Method, r.URL.Path, r.RemoteAddr)
		fmt.Fprintf(w, "Hello from %s %s!\n", name, target)
	})
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		log.Fatal(err)
	}
	// Said when it is true: whoever waits for this line asks next.
	log.Printf("listening on port %s as uid %d", port, os.Getuid())
	log.Fatal(http.Serve(listener, nil))
}
