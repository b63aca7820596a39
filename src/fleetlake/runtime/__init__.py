"""What the servers and engines we start run on: Java, locked jars, and processes that outlive the command that started them."""
