module example.test/assertion

go 1.19
