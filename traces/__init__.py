"""What happened, and in what order it had to happen. Imports no other part of streamsan."""
