module kestrel.example/real-ip/pause

go 1.26.0
