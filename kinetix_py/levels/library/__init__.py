"""The library: levels drawn by functions of `families`, each file with a solution and its difficulty."""
