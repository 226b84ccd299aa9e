"""What a zoo is: its members, the fields they are made of, and which of them share one compiled program."""
